package fhe_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tuneinsight/lattigo/v5/ring"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/internal/random"
	"cipherpoint/fhe/secret"
)

// lattigoSecret returns a secret in Lattigo's ring.
func lattigoSecret(r *ring.Ring, small []int8) ring.Poly {
	p := r.NewPoly()
	for i, x := range small {
		p.Coeffs[0][i] = uint64(int64(x) + int64(x)>>63&int64(r.SubRings[0].Modulus))
	}
	r.NTT(p, p)
	r.MForm(p, p)
	return p
}

// centred reads residues as signed numbers.
func centred(v []uint64, q uint64) []float64 {
	list := make([]float64, len(v))
	for i, x := range v {
		list[i] = float64(x)
		if x > q/2 {
			list[i] -= float64(q)
		}
	}
	return list
}

// storedSecret reads the coefficients of a stored key, and derives those of the ring of replies, as FORMAT.md has it.
func storedSecret(t testing.TB, key *secret.Key, n, logReply int) (s, reply []int8) {
	stored, err := key.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	packed := stored[len(stored)-n/4:]
	s = make([]int8, n)
	for i := range s {
		s[i] = int8(packed[i/4]>>(i%4*2)&3) - 1
	}
	seed, err := hkdf.Key(sha256.New, stored, nil, fmt.Sprintf("cipherpoint replies 2^%d", logReply), 32)
	if err != nil {
		t.Fatal(err)
	}
	reply = make([]int8, 1<<logReply)
	random.Keyed([32]byte(seed)).Ternary(reply)
	return s, reply
}

// TestRingSwitchBesideLattigo decrypts a switched ciphertext in Lattigo's small ring, and the one it comes from in its large
// ring: in the subring they differ by noise of the deviation that the compiler counts on.
func TestRingSwitchBesideLattigo(t *testing.T) {
	for _, test := range []struct {
		logN, logReply, q0, p, digits int
	}{
		{12, 11, 30, 23, 2},
		{13, 11, 36, 16, 3},
		{13, 11, 26, 26, 1},
		{13, 12, 36, 30, 1},
		{14, 11, 31, 20, 2},
		{14, 12, 46, 24, 4},
	} {
		t.Run(fmt.Sprintf("2^%d to 2^%d, %d digits", test.logN, test.logReply, test.digits), func(t *testing.T) {
			literal := parameters(t, test.logN, circuit.ConjugateInvariant, []int{test.q0}, nil)
			small := circuit.Parameters{LogN: test.logReply, Ring: circuit.ConjugateInvariant}
			if err := small.SetPrimes([]int{test.p}, nil); err != nil {
				if test.p >= circuit.MinPrimeBits {
					t.Fatal(err)
				}
				small.Q = []uint64{40961}
			}
			c := &circuit.Circuit{Parameters: literal, Packing: circuit.Slots, Inputs: []circuit.Input{{Scale: 1 << 10}},
				Outputs:    []circuit.Output{{Period: 1 << test.logReply, ModulusBits: test.q0 - 1}},
				RingSwitch: &circuit.RingSwitch{LogN: test.logReply, P: small.Q[0], Digits: test.digits}}
			program, err := fhe.NewProgram(t.Context(), c, fhe.NewPool(2))
			if err != nil {
				t.Fatal(err)
			}
			_, key := fuzzKey(t, c)
			keys := ringKeys(t, key, program)

			q, n, k := literal.Q[0], literal.N(), 1<<(test.logN-test.logReply)
			r := rand.New(rand.NewPCG(uint64(test.logN), uint64(test.digits)))
			second := make([]uint64, n)
			for i := range second {
				second[i] = r.Uint64N(q)
			}
			first, switched, err := program.Switched(keys, second)
			if err != nil {
				t.Fatal(err)
			}
			large, err := ring.NewRingFromType(n, literal.Q[:1], ring.ConjugateInvariant)
			if err != nil {
				t.Fatal(err)
			}
			replies, err := ring.NewRingFromType(n/k, literal.Q[:1], ring.ConjugateInvariant)
			if err != nil {
				t.Fatal(err)
			}
			times := func(rr *ring.Ring, v []uint64, s []int8) []uint64 {
				p := rr.NewPoly()
				copy(p.Coeffs[0], v)
				rr.NTT(p, p)
				rr.MulCoeffsMontgomery(p, lattigoSecret(rr, s), p)
				rr.INTT(p, p)
				return p.Coeffs[0]
			}
			s, reply := storedSecret(t, key, n, test.logReply)
			want, got := times(large, second, s), times(replies, switched, reply)
			errs := make([]uint64, n/k)
			for i := range errs {
				errs[i] = (first[i] + got[i] + q - want[i*k]) % q
			}
			squares := 0.0
			for _, e := range centred(errs, q) {
				squares += e * e
			}
			// Digits are uniform in ±2^(width-1), the last one in what is left; rounding is by half at most.
			digit, variance := math.Exp2(float64(c.RingSwitch.Width(literal))), 0.0
			for d := range test.digits {
				size := min(digit, float64(q)/math.Pow(digit, float64(d)))
				variance += size * size / 12
			}
			variance *= 2 * float64(n) * random.Deviation * random.Deviation / float64(c.RingSwitch.P) / float64(c.RingSwitch.P)
			variance += (1 + 2*float64(n/k)*2/3) / 12
			deviation, expected := math.Sqrt(squares/float64(len(errs))), math.Sqrt(variance)
			t.Logf("noise of deviation %.4g, expected %.4g", deviation, expected)
			if math.Abs(deviation/expected-1) > 0.12 {
				t.Errorf("noise of deviation %.4g, want %.4g", deviation, expected)
			}
		})
	}
}

func ringKeys(t testing.TB, key *secret.Key, program *fhe.Program) *fhe.EvaluationKeys {
	var file bytes.Buffer
	set := program.Circuit().Keys()
	if err := key.WriteEvaluationKeys(t.Context(), &file, set, fhe.ID{}, nil, nil); err != nil {
		t.Fatal(err)
	}
	if want := fhe.KeysSize(program.Circuit().Parameters, set); int64(file.Len()) != want {
		t.Fatalf("%d bytes of keys where %d are announced", file.Len(), want)
	}
	keys, err := fhe.ReadKeys(&file, program.Parameters(), set, fhe.ID{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestSwitchedRepliesAnswerAlike asks one circuit with several outputs, with and without a smaller ring of replies.
func TestSwitchedRepliesAnswerAlike(t *testing.T) {
	literal := parameters(t, 13, circuit.ConjugateInvariant, []int{30}, nil)
	c := &circuit.Circuit{Parameters: literal, Packing: circuit.Slots,
		Inputs:  []circuit.Input{{Scale: 1 << 20}, {Scale: 1 << 22}},
		Outputs: []circuit.Output{{Value: 0, Period: 1, ModulusBits: 28}, {Value: 1, Period: 64, ModulusBits: 26}, {Value: 1, Period: 2048, ModulusBits: 29}}}
	_, key := fuzzKey(t, c)
	r := rand.New(rand.NewPCG(3, 4))
	x := [][]float64{make([]float64, literal.N()), make([]float64, literal.N())}
	for i := range x[0] {
		x[0][i], x[1][i] = r.Float64(), r.NormFloat64()
	}
	request, err := key.Encrypt(fhe.SignatureOf(c), fhe.ID{}, x)
	if err != nil {
		t.Fatal(err)
	}
	want, err := c.Run(x...)
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []*circuit.RingSwitch{nil, {LogN: 12, P: 536690689, Digits: 1}, {LogN: 11, P: 8380417, Digits: 2}} {
		c.RingSwitch = by
		program, err := fhe.NewProgram(t.Context(), c, fhe.NewPool(2))
		if err != nil {
			t.Fatal(err)
		}
		keys := ringKeys(t, key, program)
		inputs, err := fhe.ParseInputs(program.Parameters(), program.Signature(), fhe.ID{}, request)
		if err != nil {
			t.Fatal(err)
		}
		replies, err := program.Run(t.Context(), keys, inputs)
		if err != nil {
			t.Fatal(err)
		}
		reply := fhe.MarshalReplies(program.Signature(), fhe.ID{}, replies)
		if n := program.Signature().ReplyN(); len(replies[0].Second) != n || int64(len(reply)) != program.Signature().ReplySize() {
			t.Errorf("degree %d: second part of %d coefficients, reply of %d bytes", n, len(replies[0].Second), len(reply))
		}
		got, err := key.Decrypt(program.Signature(), fhe.ID{}, reply)
		if err != nil {
			t.Fatal(err)
		}
		for o, sums := range got {
			class := float64(literal.N()) / float64(c.Outputs[o].Period)
			for k := range sums {
				if d := math.Abs(sums[k]-want[o][k]) / class; d > []float64{2e-3, 1e-2, 3e-2}[o] {
					t.Fatalf("degree %d, output %d: mean of class %d is off by %g", program.Signature().ReplyN(), o, k, d)
				}
			}
		}
	}
}

func TestInsecureRingSwitchesAreRefused(t *testing.T) {
	literal := parameters(t, 13, circuit.ConjugateInvariant, []int{31}, nil)
	params, err := fhe.NewParameters(literal)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		by   circuit.RingSwitch
		want string
	}{
		"good":             {circuit.RingSwitch{LogN: 11, P: 2056193, Digits: 2}, ""},
		"log QP above 53":  {circuit.RingSwitch{LogN: 11, P: 8380417, Digits: 2}, "below 128 bits of security"},
		"degree too small": {circuit.RingSwitch{LogN: 10, P: 2056193, Digits: 2}, "ring degree 2^10"},
		"no smaller":       {circuit.RingSwitch{LogN: 13, P: 2056193, Digits: 2}, "ring degree 2^13"},
		"no digit":         {circuit.RingSwitch{LogN: 11, P: 2056193}, "0 digits"},
		"many digits":      {circuit.RingSwitch{LogN: 11, P: 2056193, Digits: 9}, "9 digits"},
		"not prime":        {circuit.RingSwitch{LogN: 11, P: 253<<13 + 1, Digits: 2}, "not prime"},
		"no root":          {circuit.RingSwitch{LogN: 11, P: 2056199, Digits: 2}, "not 1 modulo"},
		"tiny":             {circuit.RingSwitch{LogN: 11, P: 12289, Digits: 2}, "has 14 bits"},
		"q_0":              {circuit.RingSwitch{LogN: 12, P: literal.Q[0], Digits: 2}, "is q_0"},
		"negative degree":  {circuit.RingSwitch{LogN: -1, P: 2056193, Digits: 2}, "ring degree 2^-1"},
		"enormous degree":  {circuit.RingSwitch{LogN: 1 << 40, P: 2056193, Digits: 2}, "ring degree"},
	} {
		_, err := params.RingSwitch(test.by)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !bytes.Contains([]byte(err.Error()), []byte(test.want))) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "log QP above 53" && !errors.Is(err, circuit.ErrInsecure) {
			t.Errorf("%s: %v is not ErrInsecure", name, err)
		}
	}
}

func BenchmarkRingSwitch(b *testing.B) {
	for _, by := range []circuit.RingSwitch{{LogN: 12, P: 536690689, Digits: 1}, {LogN: 11, P: 2056193, Digits: 2}, {LogN: 11, P: 40961, Digits: 3}} {
		b.Run(fmt.Sprintf("2^13 to 2^%d, %d digits", by.LogN, by.Digits), func(b *testing.B) {
			c := &circuit.Circuit{Parameters: parameters(b, 13, circuit.ConjugateInvariant, []int{31}, nil), Packing: circuit.Slots,
				Inputs: []circuit.Input{{Scale: 1 << 20}}, Outputs: []circuit.Output{{Period: 1, ModulusBits: 22}}, RingSwitch: &by}
			program, err := fhe.NewProgram(b.Context(), c, fhe.NewPool(1))
			if err != nil {
				b.Fatal(err)
			}
			_, key := fuzzKey(b, c)
			keys := ringKeys(b, key, program)
			second := make([]uint64, c.Parameters.N())
			for i := range second {
				second[i] = uint64(i*i) % c.Parameters.Q[0]
			}
			for b.Loop() {
				if _, _, err := program.Switched(keys, second); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
