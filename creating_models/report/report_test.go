package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cipherpoint/internal/format"
)

var update = flag.Bool("update", false, "write the golden files anew")

func html(t *testing.T, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func terminal(t *testing.T, r *Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// parse reads a page strictly, as XML, and returns how often each element occurs and the text of all cells, labels and
// paragraphs, one a line.
func parse(t *testing.T, page []byte) (map[string]int, string) {
	t.Helper()
	count, ids, text := map[string]int{}, map[string]bool{}, strings.Builder{}
	decoder := xml.NewDecoder(bytes.NewReader(page))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return count, text.String()
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			count[token.Name.Local]++
			for _, a := range token.Attr {
				switch name := a.Name.Local; {
				case name == "id" && ids[a.Value]:
					t.Errorf("id %q twice", a.Value)
				case name == "id":
					ids[a.Value] = true
				case name == "src" || name == "href" || strings.HasPrefix(name, "on"):
					t.Errorf("%s has %s=%q", token.Name.Local, name, a.Value)
				}
			}
		case xml.CharData:
			text.Write(token)
			text.WriteByte('\n')
		}
	}
}

func TestText(t *testing.T) {
	path := filepath.Join("testdata", "summary.txt")
	got := terminal(t, sample())
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPageHasEveryFigure(t *testing.T) {
	r := sample()
	_, text := parse(t, html(t, r))
	wants := []string{r.Model.Name, r.Model.Description, r.Model.Dataset, r.Model.Recipe, "seed 42", "64 features", "1,437 training samples"}
	add := func(format string, values ...any) { wants = append(wants, "\n"+fmt.Sprintf(format, values...)+"\n") }
	c := r.Classification
	for _, share := range []Count{c.Clear, c.Simulated, c.ClearSame, c.Encrypted, c.Agreement} {
		add("%d", share.Of)
		add("%d", share.Hits)
		add("%s", format.Share(share.Share()))
	}
	for i, class := range c.Classes {
		add("%s", class)
		for j := range c.Classes {
			if n := c.ClearConfusion[i][j]; n > 0 {
				add("%d", n)
			}
			if n := c.EncryptedConfusion[i][j]; n > 0 {
				add("%d", n)
			}
		}
	}
	for _, size := range []float64{r.Scores.Mean(), r.Scores.Largest(), r.Scores.Bound, r.Scores.Predicted} {
		add("%s", format.Number(size))
	}
	p := r.Parameters
	add("%s, degree 2¹³ = 8,192", p.Ring)
	add("49 + 3×38 bits")
	add("49 bits")
	add("%.1f, at most %.0f for 128 bits of security", p.LogQP, p.LogQPLimit)
	add("%.0f bits", p.SecurityBits)
	add("%d", p.Levels)
	add("a ring of degree 2¹¹: 5.41 kB instead of 21.5 kB, for a key of 51.2 kB with log₂ QP 50.0, at most 53")
	for _, k := range r.Candidates {
		add("%d", k.LogN)
		add("%s", primes(k.QBits))
		add("%s", primes(k.PBits))
		add("%s", format.Duration(k.Latency))
		add("%s", format.Bytes(float64(k.KeyBytes)))
		add("%s", format.Bytes(float64(k.MessageBytes)))
		add("%.1f", k.PrecisionBits)
		add("%.0f", k.SecurityBits)
		wants = append(wants, k.Why)
	}
	for _, l := range r.Layers {
		add("%s", l.Name)
		add("%s", l.Op)
		add("%s", levels(l))
		add("%.1f", l.ScaleBits)
		add("%d", l.Rotations)
		add("%d", l.Diagonals)
		add("%s", format.Duration(l.Estimated))
		add("%s", format.Duration(l.Measured))
	}
	s := r.Sizes
	add("%d evaluation keys, once", s.Keys)
	for _, size := range []int64{s.KeyBytes, s.RequestBytes, s.ReplyBytes, s.ClientZip, s.ServerZip} {
		add("%s", format.Integer(size))
		add("%s", format.Bytes(float64(size)))
	}
	add("%s", format.Duration(r.Times.Train))
	add("%s", format.Duration(r.Times.Compile))
	for _, timing := range []Timing{r.Times.KeyGen, r.Times.Encrypt, r.Times.ServerOneCore, r.Times.ServerAllCores, r.Times.Decrypt} {
		add("%s", format.Duration(timing.Median))
		add("%s", format.Duration(timing.P95))
		add("%d", timing.Runs)
	}
	wants = append(wants, r.Machine.CPU, "4 cores", "avx2 avx512f avx512ifma")
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestPageStandsAlone(t *testing.T) {
	page := html(t, sample())
	count, _ := parse(t, page)
	for element, want := range map[string]int{"svg": 7, "desc": 7, "h1": 1, "caption": 9, "style": 1, "script": 0, "link": 0,
		"img": 0, "iframe": 0, "object": 0, "form": 0} {
		if count[element] != want {
			t.Errorf("%d elements %s, want %d", count[element], element, want)
		}
	}
	for _, foreign := range []string{"://", "url(", "@import", "javascript:"} {
		if bytes.Contains(page, []byte(foreign)) {
			t.Errorf("the page contains %q", foreign)
		}
	}
	if len(page) > 200_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
	if again := html(t, sample()); !bytes.Equal(page, again) {
		t.Error("the same report gave two pages")
	}
}

func TestHostileNames(t *testing.T) {
	const hostile = "</style></title><script src=https://evil.example>alert(1)</script>\x00\x1b]0;\x07\u202e\xff\"'&{{.}}"
	r := sample()
	m := &r.Model
	m.Name, m.Description, m.Dataset, m.Recipe = hostile, hostile, hostile, hostile
	for i := range r.Classification.Classes {
		r.Classification.Classes[i] = hostile
	}
	for i := range r.Layers {
		r.Layers[i].Name, r.Layers[i].Op = hostile, hostile
	}
	for i := range r.Candidates {
		r.Candidates[i].Ring, r.Candidates[i].Why = hostile, hostile
	}
	r.Parameters.Ring, r.Machine.CPU, r.Machine.Features, r.Scores.Name = hostile, hostile, []string{hostile}, hostile
	page := html(t, r)
	if count, text := parse(t, page); count["script"] != 0 || !strings.Contains(text, "alert(1)") {
		t.Error("a name became an element, or was lost")
	}
	for _, c := range []string{"\x00", "\x1b", "\x07", "\u202e", "\xff"} {
		if bytes.Contains(page, []byte(c)) {
			t.Errorf("the page contains %q", c)
		}
		if strings.Contains(terminal(t, r), c) {
			t.Errorf("the summary contains %q", c)
		}
	}
}

func TestPartsLeftOut(t *testing.T) {
	r := &Report{
		Model:      Model{Name: "linear"},
		Regression: &Regression{Unit: "mg/dl", Clear: Fit{Samples: 89, RMSE: 53.12, R2: 0.4526}},
		Parameters: Parameters{LogN: 12, Ring: "standard", QBits: []int{40, 30}, LogQP: 70, LogQPLimit: 106, SecurityBits: 128,
			Slots: 2048, Levels: 1},
	}
	count, text := parse(t, html(t, r))
	if count["svg"] != 1 || strings.Contains(text, "NaN") || strings.Contains(text, "0 B") {
		t.Errorf("%d figures, or figures of nothing, in %s", count["svg"], text)
	}
	for _, want := range []string{"\nRMSE (mg/dl)\n", "\n53.1\n", "\n0.4526\n", "\n89\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}

	r.Regression.Encrypted = Fit{Samples: 89, RMSE: 53.13, R2: 0.4525}
	r.Scores = Scores{Bound: 1e-4, Pairs: []Pair{{150, 150.5}}}
	if got := terminal(t, r); !strings.Contains(got, "Score error: bound 10⁻⁴ MISSED") {
		t.Errorf("a missed bound is not told: %s", got)
	}
	if _, text := parse(t, html(t, r)); !strings.Contains(text, "bound 10⁻⁴ MISSED") || !strings.Contains(text, "\n0.4525\n") {
		t.Errorf("a missed bound is not told: %s", text)
	}
}

func TestCheck(t *testing.T) {
	for want, spoil := range map[string]func(r *Report){
		"the model has no name":                                    func(r *Report) { r.Model.Name = "" },
		"the parameters are missing":                               func(r *Report) { r.Parameters = Parameters{} },
		"either classification or regression figures are needed":   func(r *Report) { r.Regression = &Regression{} },
		"1 classes: want at least 2":                               func(r *Report) { r.Classification.Classes = []string{"a"} },
		"encrypted: 201 of 200":                                    func(r *Report) { r.Classification.Encrypted.Hits = 201 },
		"agreement of 100 samples, but 200 were encrypted":         func(r *Report) { r.Classification.Agreement = Count{100, 100} },
		"clear confusion matrix: want 10 rows of 10 counts":        func(r *Report) { r.Classification.ClearConfusion[3] = nil },
		"encrypted confusion matrix: 200 of 201 right, unlike the": func(r *Report) { r.Classification.EncryptedConfusion[0][0]++ },
		"2 candidates are chosen: want 1":                          func(r *Report) { r.Candidates[1].Outcome = Chosen },
		"a layer rescales 2 times at level 1":                      func(r *Report) { r.Layers[2].Rescale = 2 },
		"encrypted confusion matrix: want 10 rows of 10 counts":    func(r *Report) { r.Classification.EncryptedConfusion[1][1] = -1 },
		"0 candidates are chosen: want 1":                          func(r *Report) { r.Candidates[0].Outcome = Considered },
	} {
		r := sample()
		spoil(r)
		for _, write := range []func(io.Writer) error{r.WriteText, r.WriteHTML} {
			var b bytes.Buffer
			if err := write(&b); err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
				t.Errorf("got %v and %d bytes, want %q and none", err, b.Len(), want)
			}
		}
	}
}

func TestStatistics(t *testing.T) {
	low, high := Count{8, 10}.Interval() // Wilson's interval of 0.8 at n = 10
	if math.Abs(low-0.4901625) > 1e-6 || math.Abs(high-0.9433178) > 1e-6 {
		t.Errorf("interval %v to %v", low, high)
	}
	if low, high := (Count{10, 10}).Interval(); math.Abs(low-0.7224672) > 1e-6 || high != 1 {
		t.Errorf("interval %v to %v", low, high)
	}
	s := Scores{Bound: 0.5, Pairs: []Pair{{1, 1.25}, {2, 1.5}, {0, 0}, {4, 4}}}
	if s.Largest() != 0.5 || s.Mean() != 0.1875 || s.Quantile(0.5) != 0 || s.Quantile(0.75) != 0.25 || s.Quantile(1) != 0.5 || !s.Kept() {
		t.Errorf("largest %v, mean %v, median %v, kept %v", s.Largest(), s.Mean(), s.Quantile(0.5), s.Kept())
	}
	s.Pairs = append(s.Pairs, Pair{0, math.NaN()})
	if s.Kept() || !math.IsNaN(s.Largest()) {
		t.Error("a score that is not a number keeps the bound")
	}
	if got := primes([]int{49, 38, 38, 38, 40}); got != "49 + 3×38 + 40" {
		t.Errorf("primes %q", got)
	}
	if got := len(foremost(append(make([]Candidate, 20), Candidate{Outcome: Chosen}))); got != maxCandidates {
		t.Errorf("%d candidates in the terminal", got)
	}
}
