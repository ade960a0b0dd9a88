package check

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"cipherpoint/internal/format"
)

// Outcome is what a replay found.
type Outcome struct {
	Name         string
	Classes      []string // of a classifier
	Rows         int
	Original     bool    // whether the artifact holds the model as it was trained
	Bound        float64 // stated for the error of a score
	LabelChanges float64 // stated for the share of labels that polynomials change

	// Right labels by the truth, or nil.
	Truth []Match
	// Labels of the circuit in float that are the original's, then labels with noise that are the circuit's, then labels
	// that are the original's in the end.
	Circuit, SimulatedNoise, EncryptedNoise, Simulated, Encrypted Match

	// Errors of scores: of the circuit in float against the original, and of the noise, against the circuit in float.
	Approximation Errors // on all rows
	Predicted     Errors // by simulation, on all rows
	Measured      Errors // on the rows that were encrypted
	// Stated is the largest error of an encrypted score that the bound is about: that of the noise for a classifier, whose
	// labels count, else the whole.
	Stated float64

	Disagreements []Disagreement
}

// Match counts rows.
type Match struct {
	Name     string
	Hits, Of int
}

func (m Match) String() string { return fmt.Sprintf("%d of %d", m.Hits, m.Of) }

// Errors of scores: of the typical row, the median of each row's root mean square, which strange rows do not change; and
// the largest.
type Errors struct{ Typical, Largest float64 }

// fewest is how many rows have to be encrypted before the prediction of the error is judged.
const fewest = 16

// Ratio is the measured error of encryption over the predicted one.
func (o *Outcome) Ratio() float64 { return o.Measured.Typical / o.Predicted.Typical }

// Broken says what the artifact does not keep, or returns nil.
func (o *Outcome) Broken() error {
	var problems []error
	add := func(pattern string, args ...any) { problems = append(problems, fmt.Errorf(pattern, args...)) }
	if !(o.Stated <= o.Bound) {
		add("the largest error of an encrypted score is %.3g: at most %.3g is stated", o.Stated, o.Bound)
	}
	if len(o.Classes) > 0 {
		if implausible(o.Circuit.Hits, o.Circuit.Of, o.LabelChanges) {
			add("polynomials keep %v labels: they may change %s", o.Circuit, format.Share(o.LabelChanges))
		}
		if Implausible(o.SimulatedNoise.Hits, o.SimulatedNoise.Of) {
			add("simulated, %v labels are those without noise: at least %s are stated", o.SimulatedNoise, format.Share(MinAgreement))
		}
		if Implausible(o.EncryptedNoise.Hits, o.EncryptedNoise.Of) {
			add("encrypted, %v labels are those without noise: at least %s are stated", o.EncryptedNoise, format.Share(MinAgreement))
		}
	}
	if o.Encrypted.Of >= fewest && !(o.Ratio() >= 0.5 && o.Ratio() <= 2) {
		add("the error of encryption is %.2f times the predicted one: want a factor of two at most", o.Ratio())
	}
	return errors.Join(problems...)
}

// differs reports whether an answer to row i is not the original's: another label, or an error above what is stated.
func (r *replay) differs(i int, a answer) bool {
	if r.classifies() && a.label != r.float[i].label {
		return true
	}
	return !(r.stated(i, a) <= r.record.Bound)
}

// stated is the error that the bound is about.
func (r *replay) stated(i int, a answer) float64 {
	if r.classifies() {
		return largest(a.scores, r.circuit[i].scores)
	}
	return largest(r.compared(a), r.compared(r.float[i]))
}

// largest difference; not a number counts as infinite.
func largest(a, b []float64) float64 {
	l := 0.0
	for k := range a {
		d := math.Abs(a[k] - b[k])
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		l = max(l, d)
	}
	return l
}

// errors of the noise in answers to the first rows.
func (r *replay) errors(answers []answer) Errors {
	var got, want [][]float64
	for i, a := range answers {
		got, want = append(got, a.scores), append(want, r.circuit[i].scores)
	}
	return errorsOf(got, want)
}

func errorsOf(got, want [][]float64) Errors {
	var e Errors
	rows := make([]float64, len(got))
	for i := range got {
		e.Largest = max(e.Largest, largest(got[i], want[i]))
		for k := range got[i] {
			d := got[i][k] - want[i][k]
			rows[i] += d * d / float64(len(got[i]))
		}
	}
	slices.Sort(rows)
	e.Typical = math.Sqrt(rows[len(rows)/2])
	return e
}

func (r *replay) outcome(name string) (*Outcome, error) {
	n := len(r.encrypted)
	o := &Outcome{
		Name: name, Classes: r.pipeline.Classes, Rows: len(r.rows), Original: r.layers != nil,
		Bound: r.record.Bound, LabelChanges: r.record.LabelChanges,
		Predicted: r.errors(r.simulated), Measured: r.errors(r.encrypted),
		Circuit:        agreement("circuit in float, as in the original", r.circuit, r.float),
		SimulatedNoise: agreement("simulated, as in the circuit", r.simulated, r.circuit),
		EncryptedNoise: agreement("encrypted, as in the circuit", r.encrypted, r.circuit),
		Simulated:      agreement("simulated, as in the original", r.simulated, r.float),
		Encrypted:      agreement("encrypted, as in the original", r.encrypted, r.float),
	}
	var circuit, float [][]float64
	for i := range r.rows {
		circuit, float = append(circuit, r.compared(r.circuit[i])), append(float, r.compared(r.float[i]))
	}
	o.Approximation = errorsOf(circuit, float)
	if r.truth != nil && r.classifies() {
		o.Truth = []Match{r.right("float", r.float), r.right("simulated", r.simulated), r.right("float, encrypted rows", r.float[:n]), r.right("encrypted", r.encrypted)}
	}
	for i := range r.rows {
		different := r.differs(i, r.simulated[i])
		if i < n {
			o.Stated = max(o.Stated, r.stated(i, r.encrypted[i]))
			different = different || r.differs(i, r.encrypted[i])
		}
		if !different {
			continue
		}
		d, err := r.explain(i)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		o.Disagreements = append(o.Disagreements, d)
	}
	return o, nil
}

func agreement(name string, answers, want []answer) Match {
	m := Match{Name: name, Of: len(answers)}
	for i, a := range answers {
		if a.label == want[i].label {
			m.Hits++
		}
	}
	return m
}

func (r *replay) right(name string, answers []answer) Match {
	m := Match{Name: name, Of: len(answers)}
	for i, a := range answers {
		if float64(a.label) == r.truth[i] {
			m.Hits++
		}
	}
	return m
}

// WriteText writes tables for a terminal, rows counted from 1.
func (o *Outcome) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s: %s rows, %s of them encrypted\n", format.Text(o.Name), format.Integer(int64(o.Rows)), format.Integer(int64(o.Encrypted.Of)))
	if !o.Original {
		fmt.Fprintf(w, "%s does not hold the original model: the circuit in float stands for it\n", RecordFile)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(o.Disagreements) > 0 {
		o.writeDisagreements(t)
	}
	fmt.Fprintln(t)
	if len(o.Classes) > 0 {
		for _, m := range o.Truth {
			fmt.Fprintf(t, "right labels, %s\t%v\t%s\n", m.Name, m, format.Share(float64(m.Hits)/float64(m.Of)))
		}
		for _, m := range []Match{o.Circuit, o.SimulatedNoise, o.EncryptedNoise, o.Simulated, o.Encrypted} {
			fmt.Fprintf(t, "labels %s\t%v\t%s\n", m.Name, m, format.Share(float64(m.Hits)/float64(m.Of)))
		}
		fmt.Fprintf(t, "stated\t\tpolynomials change at most %s of the labels, noise %s\n", format.Share(o.LabelChanges), format.Share(1-MinAgreement))
	}
	fmt.Fprintf(t, "disagreements\t%d\t%s\n", len(o.Disagreements), o.causes())
	fmt.Fprintln(t, "\nerror of a score\ttypical\tlargest")
	for _, e := range []struct {
		name string
		Errors
	}{
		{"circuit against original, in float", o.Approximation}, {"noise, simulated", o.Predicted}, {"noise, encrypted", o.Measured},
	} {
		fmt.Fprintf(t, "%s\t%s\t%s\n", e.name, format.Number(e.Typical), format.Number(e.Largest))
	}
	fmt.Fprintf(t, "measured over predicted\t%.2f\n", o.Ratio())
	what := "encrypted against original"
	if len(o.Classes) > 0 {
		what = "encrypted against circuit in float"
	}
	fmt.Fprintf(t, "stated bound, %s\t\t%s\n", what, format.Number(o.Bound))
	return t.Flush()
}

// causes counts the disagreements of each cause.
func (o *Outcome) causes() string {
	counts := map[Cause]int{}
	for _, d := range o.Disagreements {
		counts[d.Cause]++
	}
	var parts []string
	for _, cause := range []Cause{Overflow, Approximation, Lowering, Precision} {
		if counts[cause] > 0 {
			parts = append(parts, fmt.Sprintf("%d by %s", counts[cause], cause))
		}
	}
	return strings.Join(parts, ", ")
}

func (o *Outcome) writeDisagreements(w io.Writer) {
	labels := len(o.Classes) > 0
	if labels {
		fmt.Fprint(w, "row\tfloat\tsimulated\tencrypted\t")
	} else {
		fmt.Fprint(w, "row\t")
	}
	fmt.Fprintln(w, "score of\tfloat\tsimulated\tencrypted\tcause\tlayer\tshare\t")
	for _, d := range o.Disagreements {
		fmt.Fprintf(w, "%d\t", d.Row+1)
		if labels {
			fmt.Fprintf(w, "%s\t%s\t%s\t", o.class(d.Float), o.class(d.Simulated), o.class(d.Encrypted))
		}
		fmt.Fprintf(w, "%s\t%.4g\t%.4g\t%s\t%s\t%s\t%.0f %%\t%s\n", format.Text(d.Score), d.FloatScore, d.SimulatedScore, optional(d),
			d.Cause, format.Text(d.Layer), 100*d.Share, format.Text(d.Detail))
	}
}

func optional(d Disagreement) string {
	if d.Encrypted < 0 {
		return "–"
	}
	return fmt.Sprintf("%.4g", d.EncryptedScore)
}

func (o *Outcome) class(label int) string {
	switch {
	case label < 0:
		return "–"
	case label < len(o.Classes):
		return format.Text(o.Classes[label])
	}
	return fmt.Sprint(label)
}
