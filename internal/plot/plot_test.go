package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"cipherpoint/internal/format"
)

const hostile = "</title><script>alert('x')</script>\x00\x1b[31m\"&\xff"

// figures returns one figure of each kind, with a text in each place that takes one.
func figures(text string) map[string]Figure {
	seconds := Axis{Label: text, Log: true, Format: format.Seconds}
	return map[string]Figure{
		"confusion": Confusion(ConfusionMatrix{ID: "a", Title: text, Classes: []string{text, "spam", "a longer name than fits"},
			Counts: [][]int64{{90, 3, 0}, {1, 40, 0}, {0, 7, 12}}}),
		"scores": Scores(ScorePairs{ID: "b", Title: text, Unit: text, Bound: 0.25,
			Pairs: []Point{{1, 1.1}, {2, 1.9}, {-3, -3}}}),
		"errors": Errors(ErrorHistogram{ID: "c", Title: text, Unit: text, Bound: 0.5, Errors: []float64{0.1, -0.1, 0, 0, 0.3}}),
		"layers": Layers(LayerChart{ID: "d", Title: text, Layers: []Layer{
			{Name: text, Level: 4, Rescale: 2, Estimated: 3 * time.Millisecond, Measured: 4 * time.Millisecond},
			{Name: "square", Level: 1, Rescale: 1, Estimated: time.Millisecond, Measured: 2 * time.Millisecond}}}),
		"budget": Budget(Modulus{ID: "e", Title: text, Q: []int{49, 40, 40}, P: []int{47}, Limit: 214}),
		"alternatives": Alternatives(TradeOff{ID: "f", Title: text, Front: true, X: seconds, Y: Axis{Label: text, Log: true, Format: format.Bytes},
			Alternatives: []Alternative{{text, 0.004, 3e6, Chosen}, {"larger", 0.009, 8e6, Possible}, {"smaller", 0.001, 1e6, Refused}}}),
		"bars": Bars(BarChart{ID: "g", Title: text, Axis: seconds, Bars: []Bar{{text, text, 0.0085, true}, {"theirs", "", 2, false}}}),
		"curves": Curves(CurveChart{ID: "h", Title: text, X: Axis{Label: text}, Y: seconds,
			Series: []Series{{text, []Point{{10, 0.01}, {20, 0.02}}}, {"p99", []Point{{10, 0.02}, {20, 0.3}}}},
			Marks:  []Mark{{15, text}}}),
	}
}

// elements parses strictly and returns how often each element occurs and all text.
func elements(t *testing.T, document []byte) (map[string]int, string) {
	t.Helper()
	count, text := map[string]int{}, strings.Builder{}
	ids := map[string]bool{}
	decoder := xml.NewDecoder(bytes.NewReader(document))
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
				if a.Name.Local == "id" && ids[a.Value] {
					t.Errorf("id %s twice", a.Value)
				}
				ids[a.Value] = ids[a.Value] || a.Name.Local == "id"
				switch a.Name.Local {
				case "x", "y", "width", "height", "cx", "cy", "x1", "x2", "y1", "y2":
					if v, err := strconv.ParseFloat(a.Value, 64); err != nil || math.Abs(v) > 2000 || math.IsNaN(v) {
						t.Errorf("%s %s=%q", token.Name.Local, a.Name.Local, a.Value)
					}
				case "d":
					if strings.ContainsAny(a.Value, "NaInf") {
						t.Errorf("path %q", a.Value)
					}
				}
			}
		case xml.CharData:
			text.Write(token)
			text.WriteByte('\n')
		}
	}
}

func TestFigures(t *testing.T) {
	for name, want := range map[string]struct {
		rects, circles int
		texts          []string
	}{
		"confusion":    {9 + 6, 0, []string{"\n90\n", "\n7\n", "142 of 153 right", "a longer name th…", "spam, answered spam: 40"}},
		"scores":       {1, 0, []string{"the largest difference is 0.1.", "band: bound ±0.25"}},
		"errors":       {4, 0, []string{"Histogram of 5 score errors, the largest of size 0.3", "dashed: bound ±0.5"}},
		"layers":       {1 + 1 + 2, 0, []string{"\n4 ms\n", "square: measured 2 ms", "sum to 6 ms", "2 layers from level 4 down"}},
		"budget":       {1 + 4 + 2, 0, []string{"Q: 129 bits", "P: 47 bits", "of security: 214", "take 176 of 214 bits"}},
		"alternatives": {0, 3 + 3, []string{"larger: 9 ms, 8 MB", "at 4 ms and 3 MB"}},
		"bars":         {2, 0, []string{"\n8.5 ms\n", "theirs: 2 s"}},
		"curves":       {0, 4, []string{"p99: 20, 300 ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			figure := figures("text")[name]
			count, text := elements(t, figure.Document())
			if count["rect"] != want.rects || count["circle"] != want.circles {
				t.Errorf("%d rectangles and %d circles, want %d and %d", count["rect"], count["circle"], want.rects, want.circles)
			}
			for _, s := range want.texts {
				if !strings.Contains(text, s) {
					t.Errorf("%q is missing in %q", s, text)
				}
			}
			if !bytes.Equal(figure.Document(), figures("text")[name].Document()) {
				t.Error("not the same twice")
			}
		})
	}
}

func TestHostileText(t *testing.T) {
	for name, figure := range figures(hostile) {
		for _, document := range []string{string(figure.Document()), string(figure.Inline())} {
			count, _ := elements(t, []byte(document))
			if count["script"] != 0 || strings.Contains(document, "<script") {
				t.Errorf("%s: a script came through", name)
			}
			if without := strings.Replace(document, `xmlns="http://www.w3.org/2000/svg"`, "", 1); strings.Contains(without, "://") {
				t.Errorf("%s: names an address", name)
			}
		}
	}
}

func TestOddValues(t *testing.T) {
	odd := []float64{0, -1, 1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 5e-324, 1e16, 1e16 + 2, 1e100, -1e100}
	lists := [][]float64{nil, odd}
	for _, a := range odd {
		lists = append(lists, []float64{a})
		for _, b := range odd {
			lists = append(lists, []float64{a, b})
		}
	}
	for _, values := range lists {
		for _, logarithmic := range []bool{false, true} {
			axis := Axis{Label: "x", Log: logarithmic}
			var points []Point
			var bars []Bar
			var alternatives []Alternative
			for i, v := range values {
				points = append(points, Point{v, values[len(values)-1-i]})
				bars = append(bars, Bar{Label: "bar", Value: v})
				alternatives = append(alternatives, Alternative{"a", v, v, Standing(i % 3)})
			}
			for _, figure := range []Figure{
				Bars(BarChart{ID: "a", Axis: axis, Bars: bars}),
				Curves(CurveChart{ID: "b", X: axis, Y: axis, Series: []Series{{"s", points}}, Marks: []Mark{{math.NaN(), "m"}}}),
				Alternatives(TradeOff{ID: "c", X: axis, Y: axis, Alternatives: alternatives, Front: true}),
				Scores(ScorePairs{ID: "d", Pairs: points}),
				Scores(ScorePairs{ID: "e", Pairs: points, Bound: 1}),
				Errors(ErrorHistogram{ID: "f", Errors: values}),
				Errors(ErrorHistogram{ID: "g", Errors: values, Bound: 5e-324}),
			} {
				elements(t, figure.Document())
			}
		}
	}
	for _, figure := range []Figure{
		Confusion(ConfusionMatrix{ID: "a"}),
		Confusion(ConfusionMatrix{ID: "b", Classes: []string{"", ""}, Counts: [][]int64{{0, 0}, {0, 0}}}),
		Confusion(ConfusionMatrix{ID: "c", Classes: make([]string, 100), Counts: square(100)}),
		Layers(LayerChart{ID: "d"}),
		Layers(LayerChart{ID: "e", Layers: make([]Layer, 3)}),
		Layers(LayerChart{ID: "f", Layers: []Layer{{Name: "estimated alone", Level: 30, Rescale: 30, Estimated: time.Second}}}),
		Budget(Modulus{ID: "g"}),
		Budget(Modulus{ID: "h", Q: make([]int, 40), Limit: 214}),
	} {
		elements(t, figure.Document())
	}
}

func TestFrontPassesTheBestAlone(t *testing.T) {
	trade := TradeOff{X: Axis{}, Y: Axis{}, Alternatives: []Alternative{
		{"beaten", 3, 5, Possible}, {"cheap", 1, 4, Possible}, {"good", 4, 1, Chosen}, {"refused", 0, 0, Refused}, {"alike", 4, 2, Possible},
	}}
	f := frame{left: 0, right: 10, top: 0, bottom: 10, x: scale{from: 0, to: 10, lo: 0, hi: 10}, y: scale{from: 10, to: 0, lo: 0, hi: 10}}
	if got, steps := trade.front(f); got != "M1 0H1V6H4V9H10" || len(steps) != 5 {
		t.Errorf("front %s of %d lines", got, len(steps))
	}
}

func square(n int) [][]int64 {
	counts := make([][]int64, n)
	for i := range counts {
		counts[i] = make([]int64, n)
		counts[i][i] = int64(i)
	}
	return counts
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		scale scale
		n     int
		want  []float64
	}{
		{scale{lo: 0, hi: 10}, 5, []float64{0, 2, 4, 6, 8, 10}},
		{scale{lo: -1, hi: 1}, 4, []float64{-1, -0.5, 0, 0.5, 1}},
		{scale{lo: 0.0031, hi: 0.0078}, 5, []float64{0.004, 0.005, 0.006, 0.007}},
		{scale{lo: 0.9, hi: 110, log: true}, 8, []float64{1, 2, 5, 10, 20, 50, 100}},
		{scale{lo: 0.9, hi: 1100, log: true}, 8, []float64{1, 3, 10, 30, 100, 300, 1000}},
		{scale{lo: 1, hi: 1e12, log: true}, 5, []float64{1, 1e3, 1e6, 1e9, 1e12}},
	} {
		got := c.scale.ticks(c.n)
		if len(got) != len(c.want) {
			t.Errorf("ticks of %+v: %v, want %v", c.scale, got, c.want)
			continue
		}
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-12*math.Abs(c.want[i])+1e-15 {
				t.Errorf("ticks of %+v: %v, want %v", c.scale, got, c.want)
			}
		}
	}
}
