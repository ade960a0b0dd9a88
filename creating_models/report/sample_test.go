package report

import (
	"math"
	"math/rand/v2"
	"time"
)

// sample is a report with everything in it. Its figures are made up.
func sample() *Report {
	random := rand.New(rand.NewPCG(1, 2))
	classes := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	clear, encrypted := make([][]int64, 10), make([][]int64, 10)
	for i := range classes {
		clear[i], encrypted[i] = make([]int64, 10), make([]int64, 10)
		clear[i][i], encrypted[i][i] = 35+int64(i%2), 20
	}
	clear[8][1], clear[9][3], clear[3][9], clear[5][6] = 2, 1, 1, 1
	encrypted[8][1], encrypted[8][8] = 1, 19

	scores := Scores{Name: "logit", Bound: 1e-3, Predicted: 2.4e-4}
	for range 2000 {
		score := 6 * random.NormFloat64()
		scores.Pairs = append(scores.Pairs, Pair{score, score + 6e-5*random.NormFloat64()*(1+math.Abs(score)/20)})
	}
	ms := func(x float64) time.Duration { return time.Duration(x * float64(time.Millisecond)) }
	q := func(first, n, size int) []int {
		sizes := []int{first}
		for range n {
			sizes = append(sizes, size)
		}
		return sizes
	}
	return &Report{
		Model: Model{
			Name:        "cnn-digits",
			Description: "Convolutional network with square activations for handwritten digits of 8×8 pixels.",
			Dataset:     "optical digits (UCI)", Recipe: "cnn-digits", Seed: 42, Features: 64, Trained: 1437,
		},
		Classification: &Classification{
			Classes: classes,
			Clear:   Count{355, 360}, Simulated: Count{355, 360},
			ClearSame: Count{199, 200}, Encrypted: Count{199, 200}, Agreement: Count{200, 200},
			ClearConfusion: clear, EncryptedConfusion: encrypted,
		},
		Scores: scores,
		Parameters: Parameters{LogN: 13, Ring: "conjugate-invariant", QBits: q(49, 3, 38), PBits: []int{49}, LogQP: 211.7,
			LogQPLimit: 214, SecurityBits: 128, Slots: 8192, Levels: 3,
			Replies: &Replies{LogN: 11, LogQP: 50, LogQPLimit: 53, KeyBytes: 51_200, Bytes: 5_407, PlainBytes: 21_535}},
		Candidates: []Candidate{
			{LogN: 13, Ring: "conjugate-invariant", QBits: q(49, 3, 38), PBits: []int{49}, Latency: ms(7.4), KeyBytes: 3_214_112,
				MessageBytes: 98_304, PrecisionBits: 14.2, SecurityBits: 128, Outcome: Chosen, Why: "fastest within the bound"},
			{LogN: 13, Ring: "conjugate-invariant", QBits: q(46, 3, 35), PBits: []int{46}, Latency: ms(7.1), KeyBytes: 2_980_004,
				MessageBytes: 90_112, PrecisionBits: 8.6, SecurityBits: 131, Outcome: Refused, Why: "precision below the bound"},
			{LogN: 13, Ring: "conjugate-invariant", QBits: q(49, 3, 45), PBits: []int{49}, Latency: ms(7.6), KeyBytes: 3_402_118,
				MessageBytes: 104_448, PrecisionBits: 19.8, SecurityBits: 117, Outcome: Refused, Why: "log QP 233 above 214"},
			{LogN: 14, Ring: "conjugate-invariant", QBits: q(49, 3, 40), PBits: []int{49, 49}, Latency: ms(17.3), KeyBytes: 9_880_132,
				MessageBytes: 210_944, PrecisionBits: 15.9, SecurityBits: 211, Why: "2.3 times slower"},
			{LogN: 14, Ring: "conjugate-invariant", QBits: q(49, 3, 45), PBits: []int{49}, Latency: ms(19.9), KeyBytes: 7_412_776,
				MessageBytes: 223_232, PrecisionBits: 20.7, SecurityBits: 214, Why: "2.7 times slower"},
			{LogN: 14, Ring: "standard", QBits: q(49, 3, 40), PBits: []int{49}, Latency: ms(36.8), KeyBytes: 15_206_440,
				MessageBytes: 211_968, PrecisionBits: 15.7, SecurityBits: 220, Why: "5 times slower"},
			{LogN: 15, Ring: "conjugate-invariant", QBits: q(49, 3, 45), PBits: []int{49, 49}, Latency: ms(48.1), KeyBytes: 24_640_900,
				MessageBytes: 446_464, PrecisionBits: 20.1, SecurityBits: 400, Why: "6.5 times slower"},
			{LogN: 12, Ring: "conjugate-invariant", QBits: q(30, 3, 22), PBits: []int{30}, Latency: ms(2.9), KeyBytes: 902_144,
				MessageBytes: 36_864, PrecisionBits: 0.4, SecurityBits: 101, Outcome: Refused, Why: "log QP 126 above 106"},
		},
		Layers: []Layer{
			{Name: "convolution", Op: "linear", Level: 3, Rescale: 1, ScaleBits: 38.1, Rotations: 0, Diagonals: 9, Estimated: ms(0.9), Measured: ms(1.05)},
			{Name: "square", Op: "multiply", Level: 2, Rescale: 1, ScaleBits: 38.2, Estimated: ms(1.1), Measured: ms(0.98)},
			{Name: "dense 64", Op: "linear", Level: 1, Rescale: 1, ScaleBits: 38.0, Rotations: 22, Diagonals: 128, Estimated: ms(4.6), Measured: ms(5.2)},
			{Name: "dense 10 (classes)", Op: "linear", Level: 0, ScaleBits: 41.5, Diagonals: 10, Estimated: ms(0.8), Measured: ms(0.71)},
		},
		Sizes: Sizes{Keys: 12, KeyBytes: 3_214_112, RequestBytes: 88_412, ReplyBytes: 9_892, ClientZip: 4_210, ServerZip: 182_331},
		Times: Times{
			Train: 41 * time.Second, Compile: 2300 * time.Millisecond,
			KeyGen:         Timing{ms(46.2), ms(51.8), 20},
			Encrypt:        Timing{ms(1.62), ms(1.9), 200},
			ServerOneCore:  Timing{ms(7.94), ms(8.33), 200},
			ServerAllCores: Timing{ms(3.52), ms(4.81), 200},
			Decrypt:        Timing{ms(0.41), ms(0.6), 200},
		},
		Machine: Machine{CPU: "AMD EPYC 9575F", Cores: 4, Features: []string{"avx2", "avx512f", "avx512ifma"}},
	}
}
