package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"cipherpoint/internal/format"
)

// table is what the terminal and the page both show: one source for every figure.
type table struct {
	Title string
	Head  []column
	Rows  []row
	Note  string // below the table
}

type column struct {
	Name string
	Text bool // left-aligned; numbers stand to the right
}

type row struct {
	Cells  []string
	Strong bool
	Faint  bool
}

func (t *table) add(cells ...string) *row {
	t.Rows = append(t.Rows, row{Cells: cells})
	return &t.Rows[len(t.Rows)-1]
}

// quality is the table of accuracies or of fits.
func (r *Report) quality() table {
	if r.Classification != nil {
		return r.Classification.table()
	}
	return r.Regression.table()
}

func (c *Classification) table() table {
	t := table{
		Title: "Accuracy",
		Head:  []column{{"", true}, {"samples", false}, {"right", false}, {"share", false}, {"95 % interval", false}},
		Note:  "The interval says what a sample of this size can tell about the share.",
	}
	add := func(name string, share Count) *row {
		low, high := share.Interval()
		return t.add(name, format.Integer(int64(share.Of)), format.Integer(int64(share.Hits)), format.Share(share.Share()),
			fmt.Sprintf("%.1f – %.1f", 100*low, 100*high))
	}
	add("clear, whole test set", c.Clear)
	if c.Polynomial.Of > 0 {
		add("clear with polynomials, whole test set", c.Polynomial)
	}
	if c.Kept.Of > 0 {
		add("label with polynomials = clear label", c.Kept)
	}
	if c.Simulated.Of > 0 {
		add("simulated, whole test set", c.Simulated)
	}
	if c.ClearSame.Of > 0 {
		add("clear, encrypted samples", c.ClearSame)
	}
	if c.Encrypted.Of > 0 {
		add("encrypted", c.Encrypted).Strong = true
		name := "encrypted label = clear label"
		if c.Polynomial.Of > 0 {
			name += " with polynomials"
		}
		add(name, c.Agreement)
	}
	return t
}

func (g *Regression) table() table {
	rmse := "RMSE"
	if g.Unit != "" {
		rmse += " (" + g.Unit + ")"
	}
	t := table{Title: "Fit", Head: []column{{"", true}, {"samples", false}, {rmse, false}, {"R²", false}}}
	add := func(name string, f Fit) *row {
		return t.add(name, format.Integer(int64(f.Samples)), format.Number(f.RMSE), fmt.Sprintf("%.4f", f.R2))
	}
	add("clear, whole test set", g.Clear)
	if g.Simulated.Samples > 0 {
		add("simulated, whole test set", g.Simulated)
	}
	if g.ClearSame.Samples > 0 {
		add("clear, encrypted samples", g.ClearSame)
	}
	if g.Encrypted.Samples > 0 {
		add("encrypted", g.Encrypted).Strong = true
	}
	return t
}

// classes is the table that stands beside the confusion matrices.
func (c *Classification) classes() table {
	t := table{Title: "By class", Head: []column{{"class", true}}}
	type side struct {
		name   string
		counts [][]int64
	}
	var sides []side
	for _, s := range []side{{"clear", c.ClearConfusion}, {"encrypted", c.EncryptedConfusion}} {
		if s.counts != nil {
			sides = append(sides, s)
			t.Head = append(t.Head, column{s.name + " samples", false}, column{"recall", false}, column{"precision", false})
		}
	}
	for i, name := range c.Classes {
		cells := []string{name}
		for _, s := range sides {
			var truth, answers int64
			for j := range c.Classes {
				truth += s.counts[i][j]
				answers += s.counts[j][i]
			}
			right := int(s.counts[i][i])
			cells = append(cells, format.Integer(truth), format.Share(Count{right, int(truth)}.Share()),
				format.Share(Count{right, int(answers)}.Share()))
		}
		t.add(cells...)
	}
	return t
}

// maxMistakes is how many rows the table of confusions has at most.
const maxMistakes = 24

// mistakes lists the confused pairs of classes, the most frequent first.
func (c *Classification) mistakes() table {
	t := table{Title: "Confused", Head: []column{{"true class", true}, {"answer", true}}}
	if c.ClearConfusion != nil {
		t.Head = append(t.Head, column{"clear", false})
	}
	if c.EncryptedConfusion != nil {
		t.Head = append(t.Head, column{"encrypted", false})
	}
	type pair struct {
		truth, answer    int
		clear, encrypted int64
	}
	var pairs []pair
	for i := range c.Classes {
		for j := range c.Classes {
			p := pair{truth: i, answer: j}
			if c.ClearConfusion != nil {
				p.clear = c.ClearConfusion[i][j]
			}
			if c.EncryptedConfusion != nil {
				p.encrypted = c.EncryptedConfusion[i][j]
			}
			if i != j && p.clear+p.encrypted > 0 {
				pairs = append(pairs, p)
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.clear, a.clear), cmp.Compare(b.encrypted, a.encrypted))
	})
	for i, p := range pairs {
		if i == maxMistakes {
			t.Note = fmt.Sprintf("%d more pairs of classes are confused less often.", len(pairs)-maxMistakes)
			break
		}
		cells := []string{c.Classes[p.truth], c.Classes[p.answer]}
		if c.ClearConfusion != nil {
			cells = append(cells, format.Integer(p.clear))
		}
		if c.EncryptedConfusion != nil {
			cells = append(cells, format.Integer(p.encrypted))
		}
		t.add(cells...)
	}
	return t
}

func (s Scores) table() table {
	t := table{Title: "Score error", Head: []column{{"", true}, {"size", false}, {"bits", false}}}
	if s.Name != "" {
		t.Title += " (" + s.Name + ")"
	}
	add := func(name string, size float64) *row {
		bits := "–"
		if size > 0 {
			bits = fmt.Sprintf("%.1f", -math.Log2(size))
		}
		return t.add(name, format.Number(size), bits)
	}
	add("mean", s.Mean())
	add("median", s.Quantile(0.5))
	add("99 %", s.Quantile(0.99))
	add("largest", s.Largest()).Strong = true
	if s.Predicted > 0 {
		add("largest as simulated", s.Predicted)
	}
	if s.Bound > 0 {
		add("stated bound", s.Bound)
	}
	t.Note = fmt.Sprintf("Over %s scores. Bits: −log₂ of the size.", format.Integer(int64(len(s.Pairs))))
	return t
}

// verdict says in one line whether the bound was kept.
func (s Scores) verdict() string {
	switch {
	case len(s.Pairs) == 0:
		return "not measured"
	case s.Bound == 0:
		return "no bound stated"
	case s.Kept():
		return "bound " + format.Number(s.Bound) + " kept"
	default:
		return "bound " + format.Number(s.Bound) + " MISSED"
	}
}

func (p Parameters) table() table {
	t := table{Title: "Parameters", Head: []column{{"", true}, {"", true}}}
	t.add("ring", fmt.Sprintf("%s, degree %s = %s", p.Ring, format.Power(2, p.LogN), format.Integer(1<<p.LogN)))
	t.add("ciphertext primes Q", fmt.Sprintf("%s bits", primes(p.QBits)))
	t.add("special primes P", fmt.Sprintf("%s bits", primes(p.PBits)))
	t.add("log₂ QP", fmt.Sprintf("%.1f, at most %s for 128 bits of security", p.LogQP, format.Number(p.LogQPLimit)))
	t.add("security", fmt.Sprintf("%.0f bits", p.SecurityBits))
	t.add("slots", format.Integer(int64(p.Slots)))
	t.add("levels", fmt.Sprint(p.Levels))
	if p.Flood > 0 {
		t.add("replies", fmt.Sprintf("re-randomised, noise 2^%d times the circuit's own: costs %d bits of precision", p.Flood, p.Flood))
		t.add("", fmt.Sprintf("1,000 replies tell models of equal scores apart with an advantage of at most %s", format.Number(p.Advantage)))
	}
	if s := p.Replies; s != nil {
		t.add("replies in", fmt.Sprintf("a ring of degree %s: %s instead of %s, for a key of %s with log₂ QP %.1f, at most %s",
			format.Power(2, s.LogN), format.Bytes(float64(s.Bytes)), format.Bytes(float64(s.PlainBytes)), format.Bytes(float64(s.KeyBytes)),
			s.LogQP, format.Number(s.LogQPLimit)))
	}
	if p.Thresholds != "" {
		t.add("thresholds", p.Thresholds)
	}
	return t
}

// primes writes sizes in bits with repetitions counted: "49 + 3×40".
func primes(sizes []int) string {
	if len(sizes) == 0 {
		return "0"
	}
	var parts []string
	for i := 0; i < len(sizes); {
		n := 1
		for i+n < len(sizes) && sizes[i+n] == sizes[i] {
			n++
		}
		if n == 1 {
			parts = append(parts, fmt.Sprint(sizes[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d×%d", n, sizes[i]))
		}
		i += n
	}
	return strings.Join(parts, " + ")
}

func candidates(list []Candidate) table {
	t := table{
		Title: "Candidates",
		Head: []column{{"log N", false}, {"ring", true}, {"Q bits", true}, {"P bits", true}, {"latency", false},
			{"keys", false}, {"messages", false}, {"precision", false}, {"security", false}, {"outcome", true}},
		Note: "Estimates of the compiler; precision and security in bits; messages are request and reply together.",
	}
	for _, c := range list {
		outcome := c.Why
		if c.Outcome != Considered || c.Why == "" {
			outcome = strings.TrimSuffix(c.Outcome.String()+": "+c.Why, ": ")
		}
		r := t.add(fmt.Sprint(c.LogN), strings.Replace(c.Ring, "conjugate-invariant", "conj.-inv.", 1), primes(c.QBits),
			primes(c.PBits), format.Duration(c.Latency), format.Bytes(float64(c.KeyBytes)),
			format.Bytes(float64(c.MessageBytes)), fmt.Sprintf("%.1f", c.PrecisionBits), fmt.Sprintf("%.0f", c.SecurityBits),
			outcome)
		r.Strong, r.Faint = c.Outcome == Chosen, c.Outcome == Refused
	}
	return t
}

func layers(list []Layer) table {
	t := table{
		Title: "Layers",
		Head: []column{{"layer", true}, {"operation", true}, {"level", false}, {"scale, bits", false}, {"rotations", false},
			{"diagonals", false}, {"estimated", false}, {"measured", false}},
	}
	var rotations, diagonals int
	var estimated, measured time.Duration
	for _, l := range list {
		t.add(l.Name, l.Op, levels(l), fmt.Sprintf("%.1f", l.ScaleBits), format.Integer(int64(l.Rotations)),
			format.Integer(int64(l.Diagonals)), optional(l.Estimated), optional(l.Measured))
		rotations += l.Rotations
		diagonals += l.Diagonals
		estimated += l.Estimated
		measured += l.Measured
	}
	t.add("sum", "", "", "", format.Integer(int64(rotations)), format.Integer(int64(diagonals)), optional(estimated),
		optional(measured)).Strong = true
	return t
}

func levels(l Layer) string {
	if l.Rescale == 0 {
		return fmt.Sprint(l.Level)
	}
	return fmt.Sprintf("%d → %d", l.Level, l.Level-l.Rescale)
}

func optional(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return format.Duration(d)
}

func (s Sizes) table() table {
	t := table{Title: "Sizes", Head: []column{{"", true}, {"size", false}, {"bytes", false}}}
	add := func(name string, bytes int64) {
		if bytes > 0 {
			t.add(name, format.Bytes(float64(bytes)), format.Integer(bytes))
		}
	}
	add(fmt.Sprintf("%d evaluation keys, once", s.Keys), s.KeyBytes)
	if s.Samples > 1 {
		add("request, "+format.Integer(int64(s.Samples))+" samples", s.RequestBytes)
		add("reply", s.ReplyBytes)
		add("request, a sample", s.RequestBytes/int64(s.Samples))
		add("reply, a sample", s.ReplyBytes/int64(s.Samples))
	} else {
		add("request, one sample", s.RequestBytes)
		add("reply", s.ReplyBytes)
	}
	add("client.zip", s.ClientZip)
	add("server.zip", s.ServerZip)
	return t
}

func (r *Report) times() table {
	t := table{Title: "Times", Head: []column{{"", true}, {"median", false}, {"p95", false}, {"runs", false}}}
	once := func(name string, d time.Duration) {
		if d > 0 {
			t.add(name, format.Duration(d), "–", "1")
		}
	}
	add := func(name string, timing Timing) *row {
		if timing.Runs == 0 {
			return &row{}
		}
		return t.add(name, format.Duration(timing.Median), format.Duration(timing.P95), format.Integer(int64(timing.Runs)))
	}
	once("training", r.Times.Train)
	once("compiling", r.Times.Compile)
	add("client: key generation", r.Times.KeyGen)
	add("client: encryption", r.Times.Encrypt)
	add("server, one core", r.Times.ServerOneCore)
	add("server, "+cores(r.Machine.Cores), r.Times.ServerAllCores).Strong = true
	add("client: decryption", r.Times.Decrypt)
	if r.Sizes.Samples > 1 {
		rate := func(name string, timing Timing) {
			if timing.Median > 0 {
				t.add(name, format.Integer(int64(float64(r.Sizes.Samples)/timing.Median.Seconds())), "–", format.Integer(int64(timing.Runs)))
			}
		}
		rate("samples a second, one core", r.Times.ServerOneCore)
		rate("samples a second, "+cores(r.Machine.Cores), r.Times.ServerAllCores)
	}
	t.Note = r.Machine.String()
	return t
}

func (m Machine) String() string {
	parts := []string{}
	if m.CPU != "" {
		parts = append(parts, m.CPU)
	}
	if m.Cores > 0 {
		parts = append(parts, cores(m.Cores))
	}
	if len(m.Features) > 0 {
		parts = append(parts, strings.Join(m.Features, " "))
	}
	if len(parts) == 0 {
		return ""
	}
	return "Measured on " + strings.Join(parts, ", ") + "."
}

// Named says whether the columns have names.
func (t table) Named() bool {
	return slices.ContainsFunc(t.Head, func(c column) bool { return c.Name != "" })
}

func cores(n int) string {
	switch n {
	case 0:
		return "all cores"
	case 1:
		return "1 core"
	}
	return fmt.Sprintf("%d cores", n)
}
