package secret

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/internal/random"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

func testParameters(t testing.TB, q, p []int) *fhe.Parameters {
	t.Helper()
	literal, err := circuit.NewParameters(12, circuit.ConjugateInvariant, q, p)
	if err != nil {
		t.Fatal(err)
	}
	params, err := fhe.NewParameters(literal)
	if err != nil {
		t.Fatal(err)
	}
	return params
}

func TestKeyRoundTrip(t *testing.T) {
	params := testParameters(t, []int{40, 30}, []int{30})
	key, err := GenerateKey(params)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := key.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseKey(params, stored)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.MarshalBinary()
	if err != nil || !bytes.Equal(stored, again) {
		t.Fatalf("another key comes back (%v)", err)
	}
	for name, bad := range map[string][]byte{
		"empty":         nil,
		"truncated":     stored[:len(stored)-1],
		"too long":      append(bytes.Clone(stored), 0),
		"not ternary":   append(bytes.Clone(stored[:len(stored)-1]), 0xff),
		"other degree":  append(append(bytes.Clone(stored[:7]), 13), stored[8:]...),
		"other ring":    append(append(bytes.Clone(stored[:8]), 0), stored[9:]...),
		"other version": append(append(bytes.Clone(stored[:6]), 2), stored[7:]...),
	} {
		if _, err := ParseKey(params, bad); !errors.Is(err, ErrKey) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	key.Destroy()
	for _, x := range key.coefficients {
		if x != 0 {
			t.Fatal("the destroyed key is still there")
		}
	}
}

// TestErrorsAreSmall: the errors of several keys have the right size.
func TestErrorsAreSmall(t *testing.T) {
	squares, count := 0.0, 0
	for range 4 { // so many that the mean is seven of its deviations within what is allowed
		s, n := openErrors(t)
		squares, count = squares+s, count+n
	}
	if got := math.Sqrt(squares / float64(count)); math.Abs(got/random.Deviation-1) > 0.02 {
		t.Errorf("errors have a deviation of %g, want %g", got, random.Deviation)
	}
}

// openErrors opens evaluation keys and a request with the secret key: nothing but an error is left when what they encrypt
// is taken away. It returns the sum of their squares.
func openErrors(t *testing.T) (squares float64, count int) {
	params := testParameters(t, []int{30, 25, 25}, []int{26})
	literal := params.Literal()
	key, err := GenerateKey(params)
	if err != nil {
		t.Fatal(err)
	}
	set := circuit.KeySet{Relinearisation: 2, Rotations: []circuit.RotationKey{{Step: 3, Level: 1}}}
	var file bytes.Buffer
	if err := key.WriteEvaluationKeys(context.Background(), &file, set, fhe.ID{}, nil, nil); err != nil {
		t.Fatal(err)
	}
	data := file.Bytes()[wire.HeaderSize:]
	expander := wire.NewExpander(wire.Seed(data[:wire.SeedSize]))
	data = data[wire.SeedSize:]
	permutation, err := params.Permutation(-3)
	if err != nil {
		t.Fatal(err)
	}
	n := params.N()
	a, b, from, to := kernel.NewVector(n), kernel.NewVector(n), kernel.NewVector(n), kernel.NewVector(n)
	check := func(what string, m *kernel.Modulus) {
		m.Mul(a, a, to)
		m.Add(b, b, a)
		m.Inverse(b, b)
		for i, x := range b {
			e := int64(x)
			if x > m.Q()/2 {
				e -= int64(m.Q())
			}
			if e > random.Bound || e < -random.Bound {
				t.Fatalf("%s: coefficient %d modulo %d has an error of %d", what, i, m.Q(), e)
			}
			squares += float64(e * e)
			count++
		}
	}
	for item, level := range wire.KeyLevels(set) {
		moduli := params.Moduli(level, literal.SpecialPrimes(level))
		for digit := range literal.Digits(level) {
			for limb, m := range moduli {
				size := wire.PackedSize(n, bits.Len64(m.Q()))
				if err := wire.Unpack(b, data[:size], bits.Len64(m.Q()), m.Q()); err != nil {
					t.Fatal(err)
				}
				data = data[size:]
				expander.Uniform(a, m.Q(), wire.KeyDomain, item, digit, limb)
				s := key.limb(level, limb)
				if item == 0 {
					m.Mul(from, s, s)
					copy(to, s)
				} else {
					copy(from, s)
					permutation.Apply(to, s)
				}
				if limb == digit { // one special prime: digits of one prime
					m.MulScalar(from, from, m.Reduce(literal.P[0]))
					m.Sub(b, b, from)
				}
				check("key", m)
			}
		}
	}
	signature := &fhe.Signature{Parameters: literal, Packing: circuit.Slots,
		Inputs:  []circuit.Input{{Level: 2, Scale: 1 << 25}},
		Outputs: []fhe.Output{{Scale: 1, Period: 1, ModulusBits: 20}}}
	request, err := key.Encrypt(signature, fhe.ID{}, [][]float64{make([]float64, n)})
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := fhe.ParseInputs(params, signature, fhe.ID{}, request)
	if err != nil {
		t.Fatal(err)
	}
	first, second := inputs[0].Parts()
	for limb, m := range params.Moduli(2, 0) {
		copy(b, first[limb])
		copy(a, second[limb])
		copy(to, key.limbs[limb])
		check("request", m)
	}
	return squares, count
}

func TestMultiplierIsExact(t *testing.T) {
	for _, ring := range []circuit.Ring{circuit.Standard, circuit.ConjugateInvariant} {
		n := 1 << circuit.MinLogN
		v, secret := make([]uint64, n), make([]int8, n)
		s := random.Keyed([32]byte{3})
		s.Ternary(secret)
		for i := range v {
			v[i] = s.Uint64() >> 15
		}
		x, err := newMultiplier(circuit.MinLogN, ring, secret)
		if err != nil {
			t.Fatal(err)
		}
		got := x.timesSecret(v)
		for _, k := range []int{0, 1, n / 2, n - 1} {
			want := uint64(0)
			for i := range v {
				if ring == circuit.Standard {
					if j := k - i; j >= 0 {
						want += v[i] * uint64(secret[j])
					} else {
						want -= v[i] * uint64(secret[j+n])
					}
					continue
				}
				// X^i + X^-i times the secret: its coefficients k-i and k+i, where c_-j = c_j and c_(2N-j) = -c_j.
				at := func(j int) uint64 {
					j = max(j, -j)
					switch {
					case j < n:
						return uint64(secret[j])
					case j == n:
						return 0
					}
					return -uint64(secret[2*n-j])
				}
				want += v[i] * at(k-i)
				if i > 0 {
					want += v[i] * at(k+i)
				}
			}
			if got[k] != want {
				t.Errorf("%s ring: coefficient %d is %d, want %d", ring, k, int64(got[k]), int64(want))
			}
		}
	}
}

func TestEncryptRefuses(t *testing.T) {
	params := testParameters(t, []int{40, 30}, []int{30})
	key, err := GenerateKey(params)
	if err != nil {
		t.Fatal(err)
	}
	good := fhe.Signature{Parameters: params.Literal(), Packing: circuit.Slots,
		Inputs: []circuit.Input{{Level: 1, Scale: 1 << 25}}, Outputs: []fhe.Output{{Scale: 1, Period: 1, ModulusBits: 30}}}
	other := good
	other.Parameters = testParameters(t, []int{40, 30}, []int{29}).Literal()
	level := good
	level.Inputs = []circuit.Input{{Level: 2, Scale: 1 << 25}}
	vector := make([]float64, params.N())
	infinite := make([]float64, params.N())
	infinite[7] = math.Inf(1)
	for name, test := range map[string]struct {
		signature *fhe.Signature
		vectors   [][]float64
	}{
		"other parameters": {&other, [][]float64{vector}},
		"no such level":    {&level, [][]float64{vector}},
		"no vector":        {&good, nil},
		"short vector":     {&good, [][]float64{vector[1:]}},
		"infinite value":   {&good, [][]float64{infinite}},
	} {
		if _, err := key.Encrypt(test.signature, fhe.ID{}, test.vectors); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := key.Decrypt(&good, fhe.ID{}, make([]byte, good.ReplySize())); !errors.Is(err, fhe.ErrFormat) {
		t.Errorf("decrypting zeros: got %v", err)
	}
}

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

// vectors are what another implementation has to reproduce. The secret key is drawn from the stream of the key {1},
// the errors of evaluation key i from that of {2, i}, the errors of the request from that of {3}; the seed of the
// evaluation keys is {4}, that of the request {5} (all followed by zeros). A stream is AES-256 in counter mode from
// counter 0, cut into little-endian 64-bit words; internal/random says what is made of them.
type vectors struct {
	Parameters circuit.Parameters `json:"parameters"`
	KeySet     circuit.KeySet     `json:"key_set"`
	Signature  *fhe.Signature     `json:"signature"`
	Expanded   []uint64           `json:"expanded"` // evaluation key 0, digit 0, limb 0: the first values
	Packed     string             `json:"packed"`   // of these, in hexadecimal
	SecretKey  string             `json:"secret_key_sha256"`
	Keys       string             `json:"keys_sha256"`
	Request    string             `json:"request_sha256"`
	Reply      string             `json:"reply_sha256"` // of the identity circuit

	RingSwitch *vectors `json:"ring_switch,omitempty"` // the same where replies are switched to a smaller ring
}

func newVectors(t *testing.T, params *fhe.Parameters, set circuit.KeySet, modulusBits int) *vectors {
	key, err := generateKey(params, random.Keyed([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	digest := func(b []byte) string {
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	}
	stored, err := key.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	c := &circuit.Circuit{Parameters: params.Literal(), Packing: circuit.Slots, RingSwitch: set.RingSwitch,
		Inputs:  []circuit.Input{{Name: "x", Level: 0, Scale: math.Ldexp(1, modulusBits-9)}},
		Outputs: []circuit.Output{{Name: "y", Value: 0, Period: 8, ModulusBits: modulusBits}}}
	got := &vectors{Parameters: params.Literal(), Signature: fhe.SignatureOf(c), SecretKey: digest(stored), KeySet: set}
	var file bytes.Buffer
	err = key.writeEvaluationKeys(context.Background(), &file, got.KeySet, fhe.ID{6}, fhe.NewPool(2), nil, wire.Seed{4},
		func(item int) *random.Stream { return random.Keyed([32]byte{2, byte(item)}) })
	if err != nil {
		t.Fatal(err)
	}
	got.Keys = digest(file.Bytes())
	q := params.Literal().Q[0]
	got.Expanded = make([]uint64, 5)
	wire.NewExpander(wire.Seed{4}).Uniform(got.Expanded, q, wire.KeyDomain, 0, 0, 0)
	packed := make([]byte, wire.PackedSize(5, bits.Len64(q)))
	wire.Pack(packed, got.Expanded, bits.Len64(q))
	got.Packed = hex.EncodeToString(packed)

	x := make([]float64, params.N())
	for i := range x {
		x[i] = float64(i%8) / 8
	}
	request, err := key.encrypt(got.Signature, fhe.ID{7}, [][]float64{x}, func(int) (wire.Seed, *random.Stream) {
		return wire.Seed{5}, random.Keyed([32]byte{3})
	})
	if err != nil {
		t.Fatal(err)
	}
	got.Request = digest(request)
	program, err := fhe.NewProgram(context.Background(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := fhe.ParseInputs(params, got.Signature, fhe.ID{7}, request)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := fhe.ReadKeys(&file, params, set, fhe.ID{6}, nil)
	if err != nil {
		t.Fatal(err)
	}
	replies, err := program.Run(context.Background(), keys, inputs)
	if err != nil {
		t.Fatal(err)
	}
	reply := fhe.MarshalReplies(got.Signature, fhe.ID{7}, replies)
	got.Reply = digest(reply)
	answer, err := key.Decrypt(got.Signature, fhe.ID{7}, reply)
	if err != nil {
		t.Fatal(err)
	}
	for r, sum := range answer[0] {
		if want := float64(r) / 8 * 512; math.Abs(sum-want) > 10/math.Exp2(float64(modulusBits-29)) {
			t.Errorf("class %d has the sum %g, want %g", r, sum, want)
		}
	}
	return got
}

func TestVectors(t *testing.T) {
	got := newVectors(t, testParameters(t, []int{40, 30}, []int{32}), circuit.KeySet{Relinearisation: 1,
		Rotations: []circuit.RotationKey{{Step: 1, Level: 0}, {Step: 5, Level: 1}}, Encryption: true}, 39)
	got.RingSwitch = newVectors(t, testParameters(t, []int{30}, nil), circuit.KeySet{Relinearisation: -1, Encryption: true,
		RingSwitch: &circuit.RingSwitch{LogN: 11, P: 8380417, Digits: 2}}, 29)
	encoded, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	encoded = append(encoded, '\n')
	path := filepath.Join("..", "testdata", "vectors.json")
	if *update {
		if err := os.WriteFile(path, encoded, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded, want) {
		t.Errorf("the format has changed:\n%s", encoded)
	}
}
