package compiler

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

// mlp is a model with a map of 16 features, a square, and another map.
func mlp() (*model.Graph, [][]float64, error) {
	r := rand.New(rand.NewPCG(7, 7))
	g, err := model.New("mlp", model.Shape{16}).Dense(randomTensor(r, 0.3, 16, 16), nil).Square().Dense(randomTensor(r, 0.3, 3, 16), nil).Graph()
	return g, randomRows(r, 32, 16), err
}

var compiledMLP, fastMLP = compiled(mlp, Options{}), compiled(mlp, Options{Prefer: PreferLatency})

func TestCandidatesSayWhatTheyCost(t *testing.T) {
	chosen := Candidate{Latency: 2, KeyBytes: 1e6, RequestBytes: 4e4, ReplyBytes: 6e3, objective: 10}
	for _, test := range []struct {
		other Candidate
		want  string
	}{
		{Candidate{Latency: 1.5, KeyBytes: 2.25e6, RequestBytes: 4e4, ReplyBytes: 6e3, objective: 10.4},
			"costs 4.0 % more: 0.50 ms shorter, 1.25 MB more keys"},
		{Candidate{Latency: 3, KeyBytes: 0.5e6, RequestBytes: 5e4, ReplyBytes: 5e3, objective: 20},
			"costs 100.0 % more: 1.00 ms longer, 0.50 MB less keys, 9.00 kB more to send"},
		{chosen, "costs the same"},
	} {
		if got := test.other.beside(&chosen); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// TestSearchExplainsItself reads the table of candidates that a compilation leaves.
func TestSearchExplainsItself(t *testing.T) {
	r := compiledMLP(t)
	if len(r.Candidates) < 10 {
		t.Errorf("%d candidates were compared", len(r.Candidates))
	}
	plans := map[string]bool{}
	for i, c := range r.Candidates {
		switch {
		case i == 0 && !strings.HasPrefix(c.Reason, "chosen: cheapest within the bound"):
			t.Errorf("the first candidate is %q", c.Reason)
		case i > 0 && !strings.HasPrefix(c.Reason, "costs ") && !strings.HasPrefix(c.Reason, "simulated noise"):
			t.Errorf("candidate %d: %q", i, c.Reason)
		case i > 0 && c.objective < r.Candidates[0].objective && !strings.HasPrefix(c.Reason, "simulated noise"):
			t.Errorf("candidate %d is cheaper than the chosen one: %q", i, c.Reason)
		}
		plans[c.Packing] = true
		sum := 0.0
		for _, b := range append(slices.Clone(c.QBits), c.PBits...) {
			sum += float64(b)
		}
		if sum > circuit.MaxLogQP(c.LogN)+1 {
			t.Errorf("candidate %d has %g bits of primes at degree 2^%d", i, sum, c.LogN)
		}
	}
	if len(plans) < 5 {
		t.Errorf("%d ways to pack and rotate", len(plans))
	}
}

// TestKeysStayBelowTheirLimit compiles with less room for keys than the cheapest circuit takes.
func TestKeysStayBelowTheirLimit(t *testing.T) {
	notShort(t)
	g, rows, err := mlp()
	if err != nil {
		t.Fatal(err)
	}
	free := fastMLP(t)
	limit := 0.7 * free.Candidates[0].KeyBytes
	bound, err := Compile(g, rows, Options{Prefer: PreferLatency, MaxKeyBytes: limit})
	if err != nil {
		t.Fatal(err)
	}
	if c := bound.Candidates[0]; c.KeyBytes > limit || c.Latency < free.Candidates[0].Latency {
		t.Errorf("%.0f bytes of keys at %.2f ms, at most %.0f; without a limit %.0f at %.2f ms", c.KeyBytes, c.Latency, limit,
			free.Candidates[0].KeyBytes, free.Candidates[0].Latency)
	}
}

// TestLatenciesFollowTheWork holds the estimates of nodes together with that of the chosen candidate.
func TestLatenciesFollowTheWork(t *testing.T) {
	r := compiledMLP(t)
	sum := r.Candidates[0].replies.latency
	for i, ms := range Latencies(r.Circuit) {
		if !(ms >= 0) {
			t.Errorf("node %d takes %g ms", i, ms)
		}
		sum += ms
	}
	if math.Abs(sum-r.Candidates[0].Latency) > 1e-9*sum {
		t.Errorf("nodes and reply take %g ms, the candidate %g", sum, r.Candidates[0].Latency)
	}
}
