package train

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/stat"

	"cipherpoint/internal/race"
	"cipherpoint/model/dataset"
)

// skipUnderRace skips tests that train networks: -race switches on the compiler's pointer checks, which abort in the
// library's matrix products (addresses computed as integers, within their slices). Fit itself starts no goroutine.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if race.Enabled {
		t.Skip("the training library does not run under the pointer checks that come with -race")
	}
}

func TestIris(t *testing.T) {
	skipUnderRace(t)
	set, err := dataset.Iris()
	if err != nil {
		t.Fatal(err)
	}
	known, unseen := set.StratifiedSplit(0.25, 1)
	epochs := 0
	g, err := Network{
		Input:   known.Shape,
		Scaling: Standardize(known),
		Layers:  []Layer{Dense{Units: 4}, Square{}, Dense{Units: 3}},
	}.Fit(known, Options{Epochs: 100, Batch: 16, LearningRate: 0.02, WeightDecay: 0.05, LabelSmoothing: 0.05, Average: 0.99, Seed: 1,
		Progress: func(epoch int, _, accuracy float64) {
			if epochs++; epoch != epochs || !(accuracy > 0) || accuracy > 1 {
				t.Errorf("progress: epoch %d after %d calls, accuracy %v", epoch, epochs, accuracy)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	if epochs != 100 {
		t.Errorf("%d calls of progress", epochs)
	}
	if a := accuracy(t, g, unseen); a < 0.97 {
		t.Errorf("accuracy %.4f, want 0.97", a)
	}
}

// A fifth of the epochs that it takes to go beyond 0.98.
func TestDigits(t *testing.T) {
	skipUnderRace(t)
	set, err := dataset.Digits()
	if err != nil {
		t.Fatal(err)
	}
	known, unseen := set.StratifiedSplit(0.25, 1)
	g, err := Network{
		Input:   known.Shape,
		Scaling: Scale(1.0 / 16),
		Layers:  []Layer{Conv{Filters: 16, Kernel: 4, Stride: 2, Pad: 1}, Square{}, Dense{Units: 10}},
	}.Fit(known, Options{Epochs: 16, Batch: 64, LearningRate: 0.01, WeightDecay: 0.05, LabelSmoothing: 0.05, Average: 0.99,
		Augment: Affine{Shift: 0.5, Rotate: 8, Zoom: 0.05, Keep: 0.3}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a := accuracy(t, g, unseen); a < 0.96 {
		t.Errorf("accuracy %.4f, want 0.96", a)
	}
}

// stripes returns images of two channels with a bright row (class 0) or column (class 1) and noise.
func stripes(n int) *dataset.Set {
	draw := rand.New(rand.NewPCG(1, 2))
	set := &dataset.Set{Shape: []int{2, 6, 5}, Labels: []string{"row", "column"}}
	for i := range n {
		image := make([]float64, 60)
		for j := range image {
			image[j] = draw.NormFloat64()
		}
		row, column := draw.IntN(6), draw.IntN(5)
		for k := range 30 {
			if i%2 == 0 && k/5 == row || i%2 == 1 && k%5 == column {
				image[k] += 3
				image[30+k] -= 3
			}
		}
		set.X = append(set.X, image)
		set.Y = append(set.Y, float64(i%2))
	}
	return set
}

// everyLayer uses every layer and option of shapes.
var everyLayer = Network{
	Input:   []int{2, 6, 5},
	Scaling: Scale(0.5),
	Layers: []Layer{
		Conv{Filters: 3, Kernel: 3, Pad: 1}, BatchNorm{}, Square{},
		Conv{Filters: 4, Kernel: 2, Stride: 2, Pad: 1}, Square{},
		AveragePool{Size: 2, Stride: 1}, Dense{Units: 6}, BatchNorm{}, Square{}, Dense{Units: 2},
	},
}

var someOptions = Options{Epochs: 3, Batch: 32, LearningRate: 0.01, WeightDecay: 0.01, LabelSmoothing: 0.05, Average: 0.9,
	Augment: Affine{Shift: 0.5, Rotate: 5, Zoom: 0.05, Shear: 0.05, Keep: 0.5}, Seed: 7}

// Equal seeds give equal bits, on one core and on many; another seed gives others.
func TestFitIsDeterministic(t *testing.T) {
	skipUnderRace(t)
	set := stripes(320)
	fit := func(seed int64) []byte {
		options := someOptions
		options.Seed = seed
		g, err := everyLayer.Fit(set, options)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := fit(7)
	if again := fit(7); !bytes.Equal(first, again) {
		t.Error("two fits differ")
	}
	cores := runtime.GOMAXPROCS(1)
	one := fit(7)
	runtime.GOMAXPROCS(8)
	eight := fit(7)
	runtime.GOMAXPROCS(cores)
	if !bytes.Equal(first, one) || !bytes.Equal(first, eight) {
		t.Error("fits on one and on many cores differ")
	}
	if other := fit(8); bytes.Equal(first, other) {
		t.Error("another seed gives the same network")
	}
}

// The model that is handed out computes what the training graph computes.
func TestModelEqualsTrainingGraph(t *testing.T) {
	skipUnderRace(t)
	set := stripes(256)
	tr, err := newTrainer(everyLayer, someOptions, set)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.backend.Finalize()
	if err := tr.fit(set); err != nil {
		t.Fatal(err)
	}
	g, err := tr.graph()
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Batch: 64}
	f := newFeed(set, tr.Input, tr.Scaling, 2, options)
	f.shuffle(0)
	x, _ := f.next()
	forward, err := gomlx.NewExec(tr.backend, tr.store, func(scope *gomlx.Scope, x *graph.Node) *graph.Node {
		return graph.Softmax(graph.Transpose(tr.forward(scope, x), 0, 1))
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := forward.Call1(x)
	if err != nil {
		t.Fatal(err)
	}
	want := tensors.MustCopyFlatData[float32](out)
	models := predict(t, g, set)
	for i, sample := range f.order[:options.Batch] {
		p := models[sample]
		for c := range p {
			if math.Abs(p[c]-float64(want[2*i+c])) > 1e-5 {
				t.Fatalf("sample %d: model %v, training graph %v", i, p, want[2*i:2*i+2])
			}
		}
	}
	if spread := slices.Max(want) - slices.Min(want); spread < 0.5 {
		t.Errorf("probabilities spread over %v only: nothing was learnt, the comparison says little", spread)
	}
}

func TestRegressionNetwork(t *testing.T) {
	skipUnderRace(t)
	set := generated(400, 3, func(_ *rand.Rand, s float64) float64 { return s * s })
	g, err := Network{
		Input:   set.Shape,
		Scaling: Standardize(set),
		Layers:  []Layer{Dense{Units: 4}, Square{}, Dense{Units: 1}},
	}.Fit(set, Options{Epochs: 60, Batch: 20, LearningRate: 0.02, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var squares float64
	for i, p := range predict(t, g, set) {
		squares += (p[0] - set.Y[i]) * (p[0] - set.Y[i]) / float64(set.Len())
	}
	if std := stat.PopStdDev(set.Y, nil); math.Sqrt(squares) > 0.02*std {
		t.Errorf("error %v with targets of deviation %v", math.Sqrt(squares), std)
	}
}

func TestFitRefuses(t *testing.T) {
	skipUnderRace(t)
	set := stripes(64)
	layers := func(l ...Layer) Network { return Network{Input: set.Shape, Layers: l} }
	good := layers(Dense{Units: 2})
	options := func(change func(*Options)) Options {
		o := Options{Epochs: 1, Batch: 8, LearningRate: 0.01}
		change(&o)
		return o
	}
	same := func(*Options) {}
	for _, c := range []struct {
		name    string
		network Network
		options Options
		message string
	}{
		{"no epochs", good, options(func(o *Options) { o.Epochs = 0 }), "must be positive"},
		{"no rate", good, options(func(o *Options) { o.LearningRate = math.NaN() }), "must be positive"},
		{"batch", good, options(func(o *Options) { o.Batch = 65 }), "batch of 65"},
		{"average", good, options(func(o *Options) { o.Average = 1 }), "average 1"},
		{"smoothing", good, options(func(o *Options) { o.LabelSmoothing = -1 }), "smoothing -1"},
		{"decay", good, options(func(o *Options) { o.WeightDecay = -1 }), "decay -1"},
		{"shape", Network{Input: []int{60}, Layers: []Layer{Dense{Units: 2}}}, options(same), "the set has [2 6 5]"},
		{"scaling", Network{Input: set.Shape, Scaling: Scaling{make([]float64, 3), make([]float64, 3)}}, options(same), "60 features"},
		{"outputs", layers(Dense{Units: 3}), options(same), "wanted 2"},
		{"no layers", layers(), options(same), "wanted 2"},
		{"no units", layers(Dense{}), options(same), "layer 1"},
		{"window", layers(Conv{Filters: 1, Kernel: 7}, Dense{Units: 2}), options(same), "layer 1"},
		{"no filters", layers(Conv{Kernel: 3}, Dense{Units: 2}), options(same), "layer 1"},
		{"flat image", layers(Dense{Units: 2}, AveragePool{Size: 2}), options(same), "layer 2"},
		{"no pool", layers(AveragePool{}, Dense{Units: 2}), options(same), "layer 1"},
		{"augmented table", Network{Input: []int{60}, Layers: []Layer{Dense{Units: 2}}},
			options(func(o *Options) { o.Augment = Affine{Shift: 1} }), "image"},
	} {
		data := *set
		if c.name == "augmented table" {
			data.Shape = []int{60}
		}
		g, err := c.network.Fit(&data, c.options)
		if g != nil || err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: graph %v, error %v, want %q in it", c.name, g, err, c.message)
		}
	}
	diverging := options(func(o *Options) { o.LearningRate, o.Epochs = 1e6, 5 })
	if _, err := layers(Dense{Units: 4}, Square{}, Dense{Units: 4}, Square{}, Dense{Units: 2}).Fit(set, diverging); err == nil ||
		!strings.Contains(err.Error(), "diverged") {
		t.Errorf("diverging: %v", err)
	}
}

func TestFeed(t *testing.T) {
	set := &dataset.Set{Shape: []int{1}, Labels: []string{"a", "b"}}
	for i := range 10 {
		set.X = append(set.X, []float64{float64(i)})
		set.Y = append(set.Y, float64(i%2))
	}
	f := newFeed(set, set.Shape, Scale(2), 2, Options{Batch: 5, LabelSmoothing: 0.2})
	var orders [2][]float32
	for epoch := range orders {
		f.shuffle(epoch)
		for range 2 {
			x, y := f.next()
			samples, targets := tensors.MustCopyFlatData[float32](x), tensors.MustCopyFlatData[float32](y)
			for b, v := range samples {
				want := []float32{0.9, 0.1}
				if int(v/2)%2 == 1 {
					want = []float32{0.1, 0.9}
				}
				if got := []float32{targets[b], targets[5+b]}; math.Abs(float64(got[0]-want[0])) > 1e-6 || math.Abs(float64(got[1]-want[1])) > 1e-6 {
					t.Errorf("sample %v has targets %v, want %v", v, got, want)
				}
			}
			orders[epoch] = append(orders[epoch], samples...)
		}
	}
	if slices.Equal(orders[0], orders[1]) {
		t.Error("two epochs have the same order")
	}
	slices.Sort(orders[0])
	if want := []float32{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}; !slices.Equal(orders[0], want) {
		t.Errorf("an epoch has the samples %v", orders[0])
	}
}
