package publish

import (
	"testing"

	"cipherpoint/creating_models/recipes"
	"cipherpoint/fhe"
	"cipherpoint/internal/race"
	"cipherpoint/internal/testdata"
)

// TestRecipesKeepTheirSizes holds what users send and get to what is promised: bytes of keys, and of each question and answer.
func TestRecipesKeepTheirSizes(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("trains and compiles for a minute")
	}
	const request, reply = 120_000, 40_000
	keys := map[string]int64{"logreg-synthetic": 300_000, "logreg-cancer": 300_000, "tree-spam": 4_000_000, "forest-spam": 8_000_000,
		"boosting-spam": 8_000_000, "qnn-iris": 2_000_000, "cnn-digits": 4_000_000, "cnn-mnist": 8_000_000}
	for _, recipe := range recipes.All() {
		t.Run(recipe.Name, func(t *testing.T) {
			limit, known := keys[recipe.Name]
			if !known {
				t.Fatal("no limit for the keys of this recipe")
			}
			switch recipe.Name {
			case "cnn-mnist":
				t.Skip("trains for minutes: run creating_models cnn-mnist")
			case "tree-spam", "forest-spam", "boosting-spam":
				testdata.Dir(t)
			}
			c := built(t, recipe.Name).Compiled.Circuit
			s := fhe.SignatureOf(c)
			for what, size := range map[string][2]int64{
				"keys":    {fhe.KeysSize(c.Parameters, c.Keys()), limit},
				"request": {s.InputSize(), request},
				"reply":   {s.ReplySize(), reply},
			} {
				if size[0] > size[1] {
					t.Errorf("%s of %d bytes: at most %d", what, size[0], size[1])
				}
			}
		})
	}
}
