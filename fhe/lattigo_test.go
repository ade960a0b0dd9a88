package fhe_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/he/hefloat"
	"github.com/tuneinsight/lattigo/v5/ring"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

// oracle is Lattigo with our parameters and our secret key.
type oracle struct {
	params    hefloat.Parameters
	encoder   *hefloat.Encoder
	secret    *rlwe.SecretKey
	decryptor *rlwe.Decryptor
}

func lattigoParameters(t testing.TB, literal circuit.Parameters) hefloat.Parameters {
	t.Helper()
	ringType := ring.Standard
	if literal.Ring == circuit.ConjugateInvariant {
		ringType = ring.ConjugateInvariant
	}
	params, err := hefloat.NewParametersFromLiteral(hefloat.ParametersLiteral{
		LogN: literal.LogN, Q: literal.Q, P: literal.P, RingType: ringType, LogDefaultScale: 40,
		Xs: ring.Ternary{P: 2.0 / 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	return params
}

func newOracle(t testing.TB, literal circuit.Parameters, key *secret.Key) *oracle {
	t.Helper()
	params := lattigoParameters(t, literal)
	o := &oracle{params: params, encoder: hefloat.NewEncoder(params), secret: rlwe.NewSecretKey(params)}
	stored, err := key.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	packed := stored[len(stored)-literal.N()/4:]
	small := make([]int64, literal.N())
	for i := range small {
		small[i] = int64(packed[i/4]>>(i%4*2)&3) - 1
	}
	fill := func(r *ring.Ring, p ring.Poly) {
		for limb, s := range r.SubRings {
			for i, x := range small {
				p.Coeffs[limb][i] = uint64(x + x>>63&int64(s.Modulus))
			}
		}
		r.NTT(p, p)
		r.MForm(p, p)
	}
	fill(params.RingQ(), o.secret.Value.Q)
	if params.RingP() != nil {
		fill(params.RingP(), o.secret.Value.P)
	}
	o.decryptor = rlwe.NewDecryptor(params, o.secret)
	return o
}

// ciphertext wraps two parts without copying.
func (o *oracle) ciphertext(first, second [][]uint64, scale float64, slots bool) *rlwe.Ciphertext {
	ct := rlwe.NewCiphertext(o.params, 1, len(first)-1)
	ct.Value[0].Coeffs, ct.Value[1].Coeffs = first, second
	ct.Scale = rlwe.NewScale(scale)
	ct.IsNTT = true
	ct.IsBatched = slots
	ct.LogDimensions = o.params.LogMaxDimensions()
	return ct
}

func (o *oracle) decrypt(t testing.TB, ct *rlwe.Ciphertext) []float64 {
	t.Helper()
	values := make([]float64, o.params.N())
	if err := o.encoder.Decode(o.decryptor.DecryptNew(ct), values); err != nil {
		t.Fatal(err)
	}
	return values
}

// load copies one of our keys into one of Lattigo's.
func (o *oracle) load(dst *rlwe.GadgetCiphertext, rows [][2][][]uint64, level int) {
	for digit := range dst.Value {
		for part := range 2 {
			p := dst.Value[digit][0][part]
			for limb := range rows {
				if limb <= level {
					copy(p.Q.Coeffs[limb], rows[limb][part][digit])
				} else {
					copy(p.P.Coeffs[limb-level-1], rows[limb][part][digit])
				}
			}
			o.params.RingQ().AtLevel(level).MForm(p.Q, p.Q)
			o.params.RingP().AtLevel(len(rows)-level-2).MForm(p.P, p.P)
		}
	}
}

func worst(t testing.TB, got, want []float64) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	worst := 0.0
	for i := range got {
		worst = max(worst, math.Abs(got[i]-want[i]))
	}
	return worst
}

func TestEncoderMatchesLattigo(t *testing.T) {
	literal := parameters(t, 12, circuit.ConjugateInvariant, []int{45, 40}, nil)
	ours, err := fhe.NewParameters(literal)
	if err != nil {
		t.Fatal(err)
	}
	params := lattigoParameters(t, literal)
	rng := rand.New(rand.NewPCG(3, 1))
	for _, test := range []struct {
		period   int
		logScale float64
	}{{4096, 40}, {4096, 20}, {512, 40}, {1, 40}, {4096, 64}, {4096, 80}} {
		values := uniform(rng, test.period)
		full := circuit.Vector{Period: len(values), Values: values}.Full(literal.N())
		scale := math.Exp2(test.logScale)
		pt := hefloat.NewPlaintext(params, 1)
		pt.Scale = rlwe.NewScale(scale)
		if err := hefloat.NewEncoder(params).Encode(full, pt); err != nil {
			t.Fatal(err)
		}
		params.RingQ().INTT(pt.Value, pt.Value)
		moduli := ours.Moduli(1, 0)
		got := [][]uint64{make([]uint64, literal.N()), make([]uint64, literal.N())}
		ours.Encoder().Encode(got, moduli, circuit.Vector{Period: len(values), Values: values}, scale)
		// Both transforms work on 53 bits, so that larger scales agree to that only.
		tolerance := int64(1 + scale*1e-14)
		for limb, m := range moduli {
			for i, x := range got[limb] {
				d := int64(x) - int64(pt.Value.Coeffs[limb][i])
				if d > int64(m.Q()/2) {
					d -= int64(m.Q())
				} else if d < -int64(m.Q()/2) {
					d += int64(m.Q())
				}
				if tolerance < int64(m.Q()/4) && (d > tolerance || d < -tolerance) {
					t.Fatalf("period %d, scale 2^%g: coefficient %d modulo %d is %d, Lattigo has %d",
						test.period, test.logScale, i, m.Q(), x, pt.Value.Coeffs[limb][i])
				}
			}
		}
	}
}

// TestInterchange runs everything on Lattigo that can be: our ciphertexts and keys there give what they give here.
func TestInterchange(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	for _, test := range []struct {
		name string
		q, p []int
	}{
		{"one special prime", []int{45, 40, 40}, []int{49}},
		{"two special primes", []int{45, 40, 40}, []int{44, 44}},
	} {
		t.Run(test.name, func(t *testing.T) {
			literal := parameters(t, 13, circuit.ConjugateInvariant, test.q, test.p)
			top, scale, n := len(test.q)-1, math.Exp2(40), literal.N()
			const step = 37
			c := &circuit.Circuit{
				Parameters: literal, Packing: circuit.Slots,
				Inputs: []circuit.Input{{Level: top, Scale: scale}},
				Nodes: []circuit.Node{
					{In: []int{0}, Level: top, Scale: scale, Fold: &circuit.Fold{Steps: []int{step}}},
					{In: []int{0, 0}, Level: top, Rescale: 1, Scale: scale * scale / float64(literal.Q[top]), Multiply: &circuit.Multiply{}},
					{In: []int{0}, Level: 0, Scale: scale, Combine: &circuit.Combine{Factors: []float64{1}}},
				},
				Outputs: []circuit.Output{{Value: 3, Period: 1, ModulusBits: 40}},
			}
			p := newParty(t, c)
			o := newOracle(t, literal, p.secret)
			x := uniform(rng, n)
			request, err := p.secret.Encrypt(p.program.Signature(), modelID, [][]float64{x})
			if err != nil {
				t.Fatal(err)
			}
			inputs, err := fhe.ParseInputs(p.program.Parameters(), p.program.Signature(), modelID, request)
			if err != nil {
				t.Fatal(err)
			}
			first, second := inputs[0].Parts()
			ct := o.ciphertext(first, second, scale, true)
			if d := worst(t, o.decrypt(t, ct), x); d > 1e-8 {
				t.Errorf("Lattigo decrypts our ciphertext with an error of %g", d)
			}

			keygen := rlwe.NewKeyGenerator(o.params)
			galois := o.params.GaloisElement(step)
			gk := keygen.GenGaloisKeyNew(galois, o.secret)
			o.load(&gk.GadgetCiphertext, p.keys.Rows(step), top)
			rlk := keygen.GenRelinearizationKeyNew(o.secret)
			o.load(&rlk.GadgetCiphertext, p.keys.Rows(0), top)
			theirs := hefloat.NewEvaluator(o.params, rlwe.NewMemEvaluationKeySet(rlk, gk))

			folded, err := theirs.RotateNew(ct, step)
			if err != nil {
				t.Fatal(err)
			}
			if err := theirs.Add(folded, ct, folded); err != nil {
				t.Fatal(err)
			}
			squared, err := theirs.MulRelinNew(ct, ct)
			if err != nil {
				t.Fatal(err)
			}
			if err := theirs.Rescale(squared, squared); err != nil {
				t.Fatal(err)
			}
			for value, want := range map[int][]float64{1: o.decrypt(t, folded), 2: o.decrypt(t, squared)} {
				first, second, err := p.program.Value(p.keys, inputs, value)
				if err != nil {
					t.Fatal(err)
				}
				got := o.decrypt(t, o.ciphertext(first, second, c.Scale(value), true))
				if d := worst(t, got, want); d > 1e-7 {
					t.Errorf("value %d: Lattigo's result with our keys differs from ours by %g", value, d)
				}
				clear := make([]float64, n)
				for j := range clear {
					if value == 1 {
						clear[j] = x[j] + x[(j+step)%n]
					} else {
						clear[j] = x[j] * x[j]
					}
				}
				if d := worst(t, got, clear); d > 1e-7 {
					t.Errorf("value %d is off by %g", value, d)
				}
			}
		})
	}
}
