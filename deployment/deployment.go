// Package deployment is what a compiled model is: a folder of three files (FORMAT.md) that the publisher writes, the
// operator serves and the user's client reads.
//
//	client.zip     for users: parameters, keys to make, how to encode and decode
//	server.zip     for the endpoint: the circuit with the model's weights
//	versions.json  format version and digests of the two
//
//	err := deployment.FHEModelDev{…}.Save("compiled_model")                 // publisher
//	server, err := deployment.LoadServer(ctx, "compiled_model", workers)    // operator
//	client, err := deployment.ReadClient(clientZip)                         // user
//
// Danger: server.zip holds the model's weights in clear; it belongs to the publisher and the operator. client.zip is
// public.
package deployment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/pipeline"
)

// The files of a compiled model.
const (
	ClientFile   = "client.zip"
	ServerFile   = "server.zip"
	VersionsFile = "versions.json"
)

// Version is the version of the format.
const Version = 1

// maxFile bounds each file of a compiled model.
const maxFile = 512 << 20

// Versions is versions.json.
type Versions struct {
	Format       int    `json:"format"`
	Model        string `json:"model"` // hexadecimal ID
	ClientSHA256 string `json:"client_sha256"`
	ServerSHA256 string `json:"server_sha256"`
}

// Client is client.json, the one file of client.zip: all that a user needs and nothing of what the model computes but
// the ends that run in clear.
type Client struct {
	Format    int                `json:"format"`
	Name      string             `json:"name"`
	Kind      string             `json:"kind"`
	Model     string             `json:"model"`   // hexadecimal ID
	KeySetID  string             `json:"key_set"` // hexadecimal ID
	Keys      circuit.KeySet     `json:"keys"`
	Signature *fhe.Signature     `json:"signature"`
	Pipeline  *pipeline.Pipeline `json:"pipeline"`
}

// FHEModelDev is a compiled model in the publisher's hands.
type FHEModelDev struct {
	Name     string // a few words, as users see it
	Kind     string // the kind of model, such as "gradient boosted trees"
	Circuit  *circuit.Circuit
	Pipeline *pipeline.Pipeline
}

// Save writes the three files. Files of an earlier model are replaced, versions.json last, so that a folder that was
// left half-written does not load.
func (m FHEModelDev) Save(dir string) error {
	files, err := m.files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, VersionsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (m FHEModelDev) files() ([]file, error) {
	structure, weights, err := m.Circuit.Encode()
	if err != nil {
		return nil, err
	}
	if err := m.Pipeline.Validate(m.Circuit.Parameters.Slots(), circuit.Fresh(m.Circuit.Inputs), m.Circuit.Outputs); err != nil {
		return nil, err
	}
	server, err := pack(file{"circuit.json", structure}, file{"weights.bin", weights})
	if err != nil {
		return nil, err
	}
	keys := m.Circuit.Keys()
	keySet, err := KeySetID(m.Circuit.Parameters, keys)
	if err != nil {
		return nil, err
	}
	id := modelID(server)
	description, err := json.Marshal(Client{
		Format: Version, Name: m.Name, Kind: m.Kind, Model: hex.EncodeToString(id[:]), KeySetID: hex.EncodeToString(keySet[:]),
		Keys: keys, Signature: fhe.SignatureOf(m.Circuit), Pipeline: m.Pipeline,
	})
	if err != nil {
		return nil, err
	}
	client, err := pack(file{"client.json", description})
	if err != nil {
		return nil, err
	}
	versions, err := json.MarshalIndent(Versions{
		Format: Version, Model: hex.EncodeToString(id[:]), ClientSHA256: digest(client), ServerSHA256: digest(server),
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return []file{{ClientFile, client}, {ServerFile, server}, {VersionsFile, append(versions, '\n')}}, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// modelID is the first half of the SHA-256 of server.zip.
func modelID(server []byte) (id fhe.ID) {
	sum := sha256.Sum256(server)
	copy(id[:], sum[:])
	return id
}

// KeySetID names parameters with a set of keys: the first half of the SHA-256 of both in JSON. Keys made under it serve
// every model with the same parameters and set.
func KeySetID(p circuit.Parameters, set circuit.KeySet) (id fhe.ID, err error) {
	b, err := json.Marshal(struct {
		Parameters circuit.Parameters `json:"parameters"`
		Keys       circuit.KeySet     `json:"keys"`
	}{p, set})
	if err != nil {
		return id, err
	}
	sum := sha256.Sum256(b)
	copy(id[:], sum[:])
	return id, nil
}

// ReadClient reads client.zip, which may come from an endpoint that is not trusted: everything in it is checked, the
// security of its parameters too.
func ReadClient(archive []byte) (*Client, error) {
	if len(archive) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", ClientFile, maxFile)
	}
	members, err := unpack(archive, "client.json")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ClientFile, err)
	}
	c := new(Client)
	if err := decodeJSON(members[0], c); err != nil {
		return nil, fmt.Errorf("client.json: %w", err)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("client.json: %w", err)
	}
	return c, nil
}

func (c *Client) validate() error {
	if c.Format != Version {
		return fmt.Errorf("format %d: this program reads format %d", c.Format, Version)
	}
	if c.Signature == nil || c.Pipeline == nil {
		return errors.New("signature or pipeline is missing")
	}
	if err := c.Signature.Validate(); err != nil {
		return err
	}
	p := c.Signature.Parameters
	if err := fhe.CheckKeySet(p, c.Keys); err != nil {
		return err
	}
	if own, replies := c.Keys.RingSwitch, c.Signature.RingSwitch; (own == nil) != (replies == nil) || own != nil && *own != *replies {
		return errors.New("keys and replies are for different rings of replies")
	}
	id, err := KeySetID(p, c.Keys)
	if err != nil {
		return err
	}
	if hex.EncodeToString(id[:]) != c.KeySetID {
		return errors.New("the key set's ID is not that of its keys")
	}
	if _, err := parseID(c.Model); err != nil {
		return err
	}
	outputs := make([]circuit.Output, len(c.Signature.Outputs))
	for i, out := range c.Signature.Outputs {
		outputs[i] = circuit.Output{Period: out.Period, Coefficients: out.Coefficients, Width: out.Width}
	}
	return c.Pipeline.Validate(p.Slots(), circuit.Fresh(c.Signature.Inputs), outputs)
}

func parseID(text string) (id fhe.ID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, errors.New("an ID is 32 hexadecimal digits")
	}
	copy(id[:], b)
	return id, nil
}

// ModelID is the model's name in requests and replies.
func (c *Client) ModelID() fhe.ID {
	id, _ := parseID(c.Model) // checked by validate
	return id
}

// KeySet is the name under which evaluation keys are made.
func (c *Client) KeySet() fhe.ID {
	id, _ := parseID(c.KeySetID)
	return id
}

// KeyBytes, RequestBytes and ReplyBytes are the exact sizes on the wire.
func (c *Client) KeyBytes() int64 { return fhe.KeysSize(c.Signature.Parameters, c.Keys) }

// RequestBytes is the size of an encrypted input.
func (c *Client) RequestBytes() int { return int(c.Signature.InputSize()) }

// BatchSize is how many samples an encrypted input holds: as many as there are slots where the model was compiled for
// batches, else one.
func (c *Client) BatchSize() int {
	if c.Signature.Packing == circuit.Batch {
		return c.Signature.Parameters.Slots()
	}
	return 1
}

// ReplyBytes is the size of an encrypted output.
func (c *Client) ReplyBytes() int { return int(c.Signature.ReplySize()) }

// read returns the files of a folder after their digests were checked.
func read(dir string) (client, server []byte, err error) {
	load := func(name string) ([]byte, error) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("no compiled model in the folder: %w", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
		if err == nil && len(b) > maxFile {
			err = fmt.Errorf("%s: larger than %d bytes", name, maxFile)
		}
		return b, err
	}
	text, err := load(VersionsFile)
	if err != nil {
		return nil, nil, err
	}
	var versions Versions
	if err := decodeJSON(text, &versions); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", VersionsFile, err)
	}
	if versions.Format != Version {
		return nil, nil, fmt.Errorf("%s: format %d: this program reads format %d", VersionsFile, versions.Format, Version)
	}
	if client, err = load(ClientFile); err != nil {
		return nil, nil, err
	}
	if server, err = load(ServerFile); err != nil {
		return nil, nil, err
	}
	id := modelID(server)
	if digest(client) != versions.ClientSHA256 || digest(server) != versions.ServerSHA256 || hex.EncodeToString(id[:]) != versions.Model {
		return nil, nil, fmt.Errorf("the files are damaged: their digests are not those in %s", VersionsFile)
	}
	return client, server, nil
}

// FHEModelServer runs encrypted inputs of one model. It is safe for concurrent use.
type FHEModelServer struct {
	client    *Client
	clientZip []byte
	program   program
	pool      *fhe.Pool
}

// LoadServer loads a compiled model: it checks the files and encodes the weights on that many workers, which are then
// shared by all inferences.
func LoadServer(ctx context.Context, dir string, workers int) (*FHEModelServer, error) {
	clientZip, serverZip, err := read(dir)
	if err != nil {
		return nil, err
	}
	client, err := ReadClient(clientZip)
	if err != nil {
		return nil, err
	}
	if client.ModelID() != modelID(serverZip) {
		return nil, fmt.Errorf("%s and %s are of different models", ClientFile, ServerFile)
	}
	c, err := readCircuit(serverZip)
	if err != nil {
		return nil, err
	}
	pool := fhe.NewPool(workers)
	program, err := newProgram(ctx, c, pool)
	if err != nil {
		return nil, err
	}
	return &FHEModelServer{client: client, clientZip: clientZip, program: program, pool: pool}, nil
}

func readCircuit(serverZip []byte) (*circuit.Circuit, error) {
	members, err := unpack(serverZip, "circuit.json", "weights.bin")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ServerFile, err)
	}
	return circuit.Decode(members[0], members[1])
}

// LoadCircuit loads the circuit and the client's part of a compiled model without making them ready to run encrypted:
// with both, a publisher who has the folder computes in clear what the endpoint computes encrypted.
func LoadCircuit(dir string) (*circuit.Circuit, *Client, error) {
	clientZip, serverZip, err := read(dir)
	if err != nil {
		return nil, nil, err
	}
	client, err := ReadClient(clientZip)
	if err != nil {
		return nil, nil, err
	}
	c, err := readCircuit(serverZip)
	return c, client, err
}

// Client returns the client's part.
func (s *FHEModelServer) Client() *Client { return s.client }

// ClientZip returns the bytes of client.zip.
func (s *FHEModelServer) ClientZip() []byte { return s.clientZip }

// Circuit returns the circuit that runs.
func (s *FHEModelServer) Circuit() *circuit.Circuit { return s.program.Circuit() }

// PlaintextBytes is the memory that the encoded weights take.
func (s *FHEModelServer) PlaintextBytes() int64 { return s.program.PlaintextBytes() }

// LoadKeys reads evaluation keys, checks them against the parameters and makes them ready. It fails with fhe.ErrFormat
// or fhe.ErrForeign for bytes that are not keys of this model's set.
func (s *FHEModelServer) LoadKeys(ctx context.Context, r io.Reader) (*fhe.EvaluationKeys, error) {
	if err := s.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.pool.Leave()
	return fhe.ReadKeys(r, s.program.Parameters(), s.client.Keys, s.client.KeySet(), s.pool)
}

// Run answers one encrypted input. It fails with fhe.ErrFormat or fhe.ErrForeign for bytes that are no input of this
// model.
func (s *FHEModelServer) Run(ctx context.Context, keys *fhe.EvaluationKeys, input []byte) ([]byte, error) {
	return s.RunObserved(ctx, keys, input, nil)
}

// RunObserved is Run with the time of each node of the circuit.
func (s *FHEModelServer) RunObserved(ctx context.Context, keys *fhe.EvaluationKeys, input []byte, observe fhe.Observer) ([]byte, error) {
	return s.program.Run(ctx, keys, s.client.ModelID(), input, observe)
}

// BatchSize is how many samples an encrypted input holds.
func (s *FHEModelServer) BatchSize() int { return s.client.BatchSize() }
