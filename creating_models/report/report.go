// Package report writes what a publisher wants to know about a compiled model: what encryption costs in accuracy, time
// and bytes, which parameters were chosen and why, and where the levels and the time go.
//
//	r := report.Report{Model: ..., Classification: ..., ...}
//	err := r.WriteText(os.Stdout) // a screenful, readable in a pipe
//	err = r.WriteHTML(file)       // one page that needs nothing else: no script, no network, light, dark and printed
//	err = r.WriteCard(file)       // a model card for Hugging Face's hub
//
// It is plain data in, bytes out: the same Report gives the same bytes. Shares, errors and verdicts are derived here
// from counts and scores, so that no two figures can contradict each other. Zero values of optional parts leave their
// rows out.
//
// Danger: scores are decrypted values. A report is for the publisher's own test data; do not publish one made from
// answers to somebody's queries, since exact decrypted values help to find a CKKS secret key (Li and Micciancio, ePrint
// 2020/1533).
package report

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Report is everything known about a compiled model. Sizes are bytes on the wire or on disk. Exactly one of
// Classification and Regression is set.
type Report struct {
	Model          Model
	Classification *Classification
	Regression     *Regression
	Scores         Scores
	Parameters     Parameters
	Candidates     []Candidate // in the order in which the compiler ranks them
	Layers         []Layer     // in the order in which they run
	Sizes          Sizes
	Times          Times
	Machine        Machine
}

// Model says what was compiled, from what, and how to repeat it.
type Model struct {
	Name        string
	Description string // one sentence
	Dataset     string
	Recipe      string
	Seed        uint64
	Features    int // length of an input; 0 leaves it out
	Trained     int // number of training samples; 0 leaves it out

	// The model card says these.
	Kind    string   // a few words
	License string   // as Hugging Face's hub names it; empty is unknown
	Images  bool     // whether inputs are images
	Columns []string // names of the columns of a row of text, where the client reads one
}

// Count is a share that remembers what it is a share of: 355 of 360.
type Count struct{ Hits, Of int }

// Share is in [0, 1], or NaN of nothing.
func (c Count) Share() float64 { return float64(c.Hits) / float64(c.Of) }

// Interval is the 95 % confidence interval of the share (Wilson, JASA 22, 1927), for a sample that Of were drawn from.
func (c Count) Interval() (low, high float64) {
	const z = 1.959963984540054
	n, p := float64(c.Of), c.Share()
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	reach := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return math.Max(0, middle-reach), math.Min(1, middle+reach)
}

// Classification is how well labels are met.
type Classification struct {
	Classes []string

	Clear Count // right labels of the float model on the whole test set

	Polynomial Count // the same with polynomials in the place of activations; Of 0 leaves it out
	Kept       Count // labels of the float model that are the same with polynomials; Of 0 leaves it out

	Simulated Count // right labels on the whole test set with the compiler's model of the encryption noise; Of 0 leaves it out

	ClearSame Count // right labels of the float model on the encrypted samples alone; Of 0 leaves it out
	Encrypted Count // right labels under encryption
	Agreement Count // encrypted samples whose label is that of the float model, with polynomials if it has any

	// Confusion[true class][answer] counts samples: the encrypted ones, and in the clear the same samples (ClearSame)
	// or the whole test set. Either may be nil.
	ClearConfusion, EncryptedConfusion [][]int64
}

// Regression is how well values are met.
type Regression struct {
	Unit string // of the target, such as "mg/dl"; may be empty

	Clear     Fit // of the float model on the whole test set
	Simulated Fit // the same with the compiler's model of the encryption noise; Samples 0 leaves it out
	ClearSame Fit // of the float model on the encrypted samples alone; Samples 0 leaves it out
	Encrypted Fit
}

// Fit compares predictions with the truth.
type Fit struct {
	Samples int
	RMSE    float64 // root of the mean square error, in the unit of the target
	R2      float64 // 1 - residual / total sum of squares
}

// Scores compares what the circuit computes under encryption with the float model, score by score.
type Scores struct {
	Name      string  // what a score is: "logit", "probability", ...
	Pairs     []Pair  // all scores of all encrypted samples
	Bound     float64 // the largest error that the compiler promised; 0 if none was stated
	Predicted float64 // largest error in the simulation over the whole test set; 0 leaves it out
}

// Pair is one score computed both ways.
type Pair struct{ Clear, Encrypted float64 }

// Largest is the largest size of an error, NaN if an error is not a number; 0 for no pairs.
func (s Scores) Largest() float64 {
	sizes := s.sizes()
	if len(sizes) == 0 {
		return 0
	}
	if math.IsNaN(sizes[0]) { // slices.Sort puts NaN first
		return sizes[0]
	}
	return sizes[len(sizes)-1]
}

// Mean is the mean size of the errors.
func (s Scores) Mean() float64 {
	var sum float64
	for _, size := range s.sizes() {
		sum += size
	}
	return sum / float64(len(s.Pairs))
}

// Quantile is the size that a share q of the errors does not exceed.
func (s Scores) Quantile(q float64) float64 {
	sizes := s.sizes()
	if len(sizes) == 0 {
		return math.NaN()
	}
	return sizes[max(0, int(math.Ceil(q*float64(len(sizes))))-1)]
}

// Kept says whether every error is within the bound.
func (s Scores) Kept() bool { return len(s.Pairs) > 0 && s.Largest() <= s.Bound }

// sizes are the absolute errors in ascending order.
func (s Scores) sizes() []float64 {
	sizes := make([]float64, len(s.Pairs))
	for i, p := range s.Pairs {
		sizes[i] = math.Abs(p.Encrypted - p.Clear)
	}
	slices.Sort(sizes)
	return sizes
}

// Parameters are those of the encryption scheme.
type Parameters struct {
	LogN         int
	Ring         string  // "conjugate-invariant" or "standard"
	QBits, PBits []int   // sizes of the ciphertext primes, the one never divided out first, and of the special primes
	LogQP        float64 // log2 of the product of all primes
	LogQPLimit   float64 // largest LogQP with 128 bits of security at this LogN
	SecurityBits float64
	Slots        int // reals in a ciphertext
	Levels       int // multiplicative depth: how many primes can be divided out
	// Flood is the bits by which the noise added to replies is wider than the circuit's own, 0 where none is added, and
	// Advantage what 1,000 replies tell of the weights beyond the scores: a total variation distance.
	Flood     int
	Advantage float64
	// Thresholds says what clients learn of the thresholds of trees; empty leaves it out.
	Thresholds string
	// Replies is the ring that replies are switched to, nil where they stay in that of the circuit.
	Replies *Replies
}

// Replies is what switching replies to a ring of lower degree costs and saves.
type Replies struct {
	LogN              int
	LogQP, LogQPLimit float64 // of the modulus of the key for it, and the largest with 128 bits of security
	KeyBytes          int64   // of that key
	Bytes, PlainBytes int64   // of a reply, and without the switch
}

// Candidate is a parameter set that the compiler considered.
type Candidate struct {
	LogN          int
	Ring          string
	QBits, PBits  []int
	Latency       time.Duration // of the server, as estimated
	KeyBytes      int64
	MessageBytes  int64 // request and reply together
	PrecisionBits float64
	SecurityBits  float64
	Outcome       Outcome
	Why           string // why it was chosen or not
}

// Outcome is what the compiler made of a Candidate.
type Outcome int

const (
	Considered Outcome = iota // would do, but another is better
	Refused                   // breaks a rule: security, precision, room
	Chosen
)

func (o Outcome) String() string {
	switch o {
	case Considered:
		return "considered"
	case Refused:
		return "refused"
	case Chosen:
		return "chosen"
	}
	return fmt.Sprintf("outcome %d", int(o))
}

// Layer is one step of the circuit.
type Layer struct {
	Name      string
	Op        string // "linear", "multiply", ...
	Level     int    // of its operands; its result is at Level-Rescale
	Rescale   int
	ScaleBits float64 // log2 of the scale of its result
	Rotations int
	Diagonals int           // plaintexts that it multiplies by
	Estimated time.Duration // on one core
	Measured  time.Duration // likewise; 0 if it was not measured
}

// Sizes are in bytes. Zeros leave their rows out.
type Sizes struct {
	Keys         int // number of evaluation keys
	KeyBytes     int64
	Samples      int // in a request; 0 is one
	RequestBytes int64
	ReplyBytes   int64
	ClientZip    int64
	ServerZip    int64
}

// Times says how long things take. Zeros leave their rows out.
type Times struct {
	Train, Compile time.Duration
	KeyGen         Timing
	Encrypt        Timing
	ServerOneCore  Timing
	ServerAllCores Timing
	Decrypt        Timing
}

// Timing is the distribution of one step's time.
type Timing struct {
	Median, P95 time.Duration
	Runs        int
}

// Machine is what the times were measured on.
type Machine struct {
	CPU      string
	Cores    int
	Features []string // of the CPU, as far as the kernels use them
}

// Check finds figures that contradict each other.
func (r *Report) Check() error {
	var problems []error
	add := func(pattern string, args ...any) { problems = append(problems, fmt.Errorf(pattern, args...)) }
	if r.Model.Name == "" {
		add("the model has no name")
	}
	if (r.Classification == nil) == (r.Regression == nil) {
		add("either classification or regression figures are needed")
	}
	if c := r.Classification; c != nil {
		if len(c.Classes) < 2 {
			add("%d classes: want at least 2", len(c.Classes))
		}
		for _, share := range []struct {
			name string
			Count
		}{{"clear", c.Clear}, {"with polynomials", c.Polynomial}, {"kept by polynomials", c.Kept}, {"simulated", c.Simulated}, {"clear on the encrypted samples", c.ClearSame},
			{"encrypted", c.Encrypted}, {"agreement", c.Agreement}} {
			if share.Hits < 0 || share.Hits > share.Of {
				add("%s: %d of %d", share.name, share.Hits, share.Of)
			}
		}
		if c.Agreement.Of != c.Encrypted.Of {
			add("agreement of %d samples, but %d were encrypted", c.Agreement.Of, c.Encrypted.Of)
		}
		for _, m := range []struct {
			name   string
			counts [][]int64
			totals []Count
		}{
			{"clear", c.ClearConfusion, []Count{c.Clear, c.ClearSame}},
			{"encrypted", c.EncryptedConfusion, []Count{c.Encrypted}},
		} {
			if m.counts == nil {
				continue
			}
			if !square(m.counts, len(c.Classes)) {
				add("%s confusion matrix: want %d rows of %d counts", m.name, len(c.Classes), len(c.Classes))
			} else if total := diagonal(m.counts); !slices.Contains(m.totals, total) {
				add("%s confusion matrix: %d of %d right, unlike the accuracy", m.name, total.Hits, total.Of)
			}
		}
	}
	if r.Parameters.LogN <= 0 || len(r.Parameters.QBits) == 0 {
		add("the parameters are missing")
	}
	chosen := 0
	for _, c := range r.Candidates {
		if c.Outcome == Chosen {
			chosen++
		}
	}
	if len(r.Candidates) > 0 && chosen != 1 {
		add("%d candidates are chosen: want 1", chosen)
	}
	for _, l := range r.Layers {
		if l.Rescale < 0 || l.Rescale > l.Level {
			add("a layer rescales %d times at level %d", l.Rescale, l.Level)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("report: %w", errors.Join(problems...))
	}
	return nil
}

func square(counts [][]int64, n int) bool {
	if len(counts) != n {
		return false
	}
	for _, row := range counts {
		if len(row) != n || slices.Min(row) < 0 {
			return false
		}
	}
	return true
}

// diagonal counts the right answers of a confusion matrix.
func diagonal(counts [][]int64) Count {
	var total Count
	for i, row := range counts {
		total.Hits += int(row[i])
		for _, n := range row {
			total.Of += int(n)
		}
	}
	return total
}
