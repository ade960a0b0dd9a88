package deployment

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/compiler"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
	"cipherpoint/model"
)

type compiled struct {
	graph *model.Graph
	rows  [][]float64
	dev   FHEModelDev
	bound float64
}

func tensor(r *rand.Rand, std float64, shape ...int) model.Tensor {
	t := model.NewTensor(shape)
	for i := range t.Data {
		t.Data[i] = std * r.NormFloat64()
	}
	return t
}

// examples returns a linear model, a network and a tree, compiled once for all tests, which leave them as they are.
func examples(t testing.TB) map[string]compiled {
	t.Helper()
	list, err := compileExamples()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var compileExamples = sync.OnceValues(func() (map[string]compiled, error) {
	r := rand.New(rand.NewPCG(1, 1))
	tree := &model.TreeEnsemble{Features: 3, Comparison: model.Less, Aggregate: model.AggregateSum, Roots: []int{0},
		Feature: []int{0, 1, 2}, Threshold: []float64{0, 0.5, -0.5}, Left: []int{1, ^0, ^2}, Right: []int{2, ^1, ^3},
		Values: [][]float64{{1}, {-2}, {3}, {0.5}}}
	out := map[string]compiled{}
	for _, b := range []*model.Builder{
		model.New("linear", model.Shape{10}).Dense(tensor(r, 1, 1, 10), []float64{1}).Sigmoid(),
		model.New("network", model.Shape{6}).Dense(tensor(r, 0.4, 12, 6), nil).Square().Dense(tensor(r, 0.3, 3, 12), nil),
		model.New("tree", model.Shape{3}).Apply(tree),
	} {
		g, err := b.Graph()
		if err != nil {
			return nil, err
		}
		rows := make([][]float64, 64)
		for i := range rows {
			rows[i] = tensor(r, 1, g.Inputs[0].Shape.Size()).Data
		}
		result, err := compiler.Compile(g, rows, compiler.Options{})
		if err != nil {
			return nil, err
		}
		out[g.Name] = compiled{g, rows, FHEModelDev{Name: g.Name, Kind: "example", Circuit: result.Circuit, Pipeline: result.Pipeline}, result.MaxScoreError}
	}
	return out, nil
})

// user makes keys and asks one question of a served model.
type user struct {
	client *Client
	key    *secret.Key
	keys   *fhe.EvaluationKeys
}

func newUser(t testing.TB, s *FHEModelServer) user {
	t.Helper()
	client, err := ReadClient(s.ClientZip())
	if err != nil {
		t.Fatal(err)
	}
	params, err := fhe.NewParameters(client.Signature.Parameters)
	if err != nil {
		t.Fatal(err)
	}
	key, err := secret.GenerateKey(params)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := key.WriteEvaluationKeys(context.Background(), &file, client.Keys, client.KeySet(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if int64(file.Len()) != client.KeyBytes() {
		t.Fatalf("key file of %d bytes: %d were announced", file.Len(), client.KeyBytes())
	}
	keys, err := s.LoadKeys(context.Background(), &file)
	if err != nil {
		t.Fatal(err)
	}
	return user{client, key, keys}
}

func (u user) encrypt(t testing.TB, row []float64) []byte {
	t.Helper()
	vectors, err := u.client.Pipeline.Encode(row)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range vectors {
		vectors[i] = circuit.Vector{Period: len(v), Values: v}.Full(u.client.Signature.Parameters.Slots())
	}
	request, err := u.key.Encrypt(u.client.Signature, u.client.ModelID(), vectors)
	if err != nil {
		t.Fatal(err)
	}
	if len(request) != u.client.RequestBytes() {
		t.Fatalf("request of %d bytes: %d were announced", len(request), u.client.RequestBytes())
	}
	return request
}

func (u user) decrypt(t testing.TB, reply []byte) (scores, answer []float64) {
	t.Helper()
	if len(reply) != u.client.ReplyBytes() {
		t.Fatalf("reply of %d bytes: %d were announced", len(reply), u.client.ReplyBytes())
	}
	out, err := u.key.Decrypt(u.client.Signature, u.client.ModelID(), reply)
	if err != nil {
		t.Fatal(err)
	}
	if scores, answer, err = u.client.Pipeline.Decode(out); err != nil {
		t.Fatal(err)
	}
	return scores, answer
}

// TestEncryptedAnswersAreTheModels goes the whole way: compile, save, load, make keys, encrypt, run, decrypt.
func TestEncryptedAnswersAreTheModels(t *testing.T) {
	for name, example := range examples(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := example.dev.Save(dir); err != nil {
				t.Fatal(err)
			}
			server, err := LoadServer(context.Background(), dir, 2)
			if err != nil {
				t.Fatal(err)
			}
			u := newUser(t, server)
			want, err := example.graph.RunRows(example.rows)
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range example.rows[:10] {
				reply, err := server.Run(context.Background(), u.keys, u.encrypt(t, row))
				if err != nil {
					t.Fatal(err)
				}
				_, answer := u.decrypt(t, reply)
				for k := range answer {
					if d := math.Abs(answer[k] - want[i][k]); !(d <= example.bound) {
						t.Errorf("row %d: encrypted %g, clear %g: apart by more than %g", i, answer[k], want[i][k], example.bound)
					}
				}
			}
		})
	}
}

func TestForeignAndDamagedBytesAreRefused(t *testing.T) {
	list := examples(t)
	servers := map[string]*FHEModelServer{}
	for name, e := range list {
		dir := t.TempDir()
		if err := e.dev.Save(dir); err != nil {
			t.Fatal(err)
		}
		s, err := LoadServer(context.Background(), dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		servers[name] = s
	}
	network := servers["network"]
	u, stranger := newUser(t, network), newUser(t, servers["tree"])
	request := u.encrypt(t, list["network"].rows[0])
	var keys bytes.Buffer
	if _, err := u.keys.WriteTo(&keys); err != nil {
		t.Fatal(err)
	}
	for name, input := range map[string][]byte{
		"empty": nil, "truncated": request[:len(request)-1], "longer": append(bytes.Clone(request), 0),
		"of another model": stranger.encrypt(t, list["tree"].rows[0]), "keys": keys.Bytes(),
	} {
		if _, err := network.Run(context.Background(), u.keys, input); !errors.Is(err, fhe.ErrFormat) && !errors.Is(err, fhe.ErrForeign) {
			t.Errorf("input %s: %v", name, err)
		}
	}
	for name, file := range map[string][]byte{"truncated": keys.Bytes()[:keys.Len()/2], "a request": request} {
		if _, err := network.LoadKeys(context.Background(), bytes.NewReader(file)); !errors.Is(err, fhe.ErrFormat) && !errors.Is(err, fhe.ErrForeign) {
			t.Errorf("keys %s: %v", name, err)
		}
	}
	if _, err := servers["tree"].LoadKeys(context.Background(), bytes.NewReader(keys.Bytes())); err == nil {
		t.Error("keys of another set were taken")
	}
}

func TestSaveIsDeterministicAndChecked(t *testing.T) {
	example := examples(t)["network"]
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		if err := example.dev.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{ClientFile, ServerFile, VersionsFile} {
		a, _ := os.ReadFile(filepath.Join(first, name))
		b, _ := os.ReadFile(filepath.Join(second, name))
		if len(a) == 0 || !bytes.Equal(a, b) {
			t.Errorf("%s differs between two saves", name)
		}
	}
	for _, name := range []string{ClientFile, ServerFile} {
		path := filepath.Join(second, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		damaged := bytes.Clone(b)
		damaged[len(damaged)/2] ^= 1
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadServer(context.Background(), second, 1); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("damaged %s: %v", name, err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadServer(context.Background(), t.TempDir(), 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty folder: %v", err)
	}
}

func TestReadClientChecksWhatItReads(t *testing.T) {
	archive, err := examples(t)["tree"].dev.files()
	if err != nil {
		t.Fatal(err)
	}
	members, err := unpack(archive[0].data, "client.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct{ from, to, want string }{
		{`"format":1`, `"format":2`, "format 2"},
		{`"log_n":1`, `"log_n":9`, "ring degree"},
		{`"key_set":"`, `"key_set":"0`, "ID"},
		{`"name":`, `"title":`, "unknown field"},
		{`"relinearisation":`, `"relinearisation":1`, ""},
	} {
		changed := strings.Replace(string(members[0]), change.from, change.to, 1)
		if changed == string(members[0]) {
			t.Fatalf("client.json has no %s", change.from)
		}
		b, err := pack(file{"client.json", []byte(changed)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadClient(b); err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: %v, want an error about %q", change.to, err, change.want)
		}
	}
	if _, err := ReadClient(archive[1].data); err == nil {
		t.Error("server.zip was taken for client.zip")
	}
}

func FuzzReadClient(f *testing.F) {
	for name, example := range examples(f) {
		if name != "linear" && example.dev.Circuit.RingSwitch == nil {
			continue
		}
		archive, err := example.dev.files()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive[0].data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		client, err := ReadClient(data)
		if err == nil && client.validate() != nil {
			t.Error("read but not valid")
		}
	})
}
