package handler

import "cipherpoint/keystore"

// The methods.
const (
	SaveKey   = "save_key"
	AppendKey = "append_key"
	KeyStatus = "key_status"
	DeleteKey = "delete_key"
	Inference = "inference"
	Describe  = "describe"

	FetchTemplates = "fetch_templates"
)

// Methods are all of them.
var Methods = []string{SaveKey, AppendKey, KeyStatus, DeleteKey, Inference, Describe, FetchTemplates}

const (
	// MaxPiece is the largest piece of a key in one request: what every store writes at once.
	MaxPiece = keystore.MaxPiece
	// MaxInputs is the largest number of encrypted inputs in one request. Batches come one at a time.
	MaxInputs = 64
	// MaxTemplates is the largest number of files of templates that inputs are compared with in one request.
	MaxTemplates = 64
)

// Request is one request of any method; each method uses some of the fields.
type Request struct {
	Method string
	// Owner names whose account new keys go to, in 1 to keystore.MaxOwner characters 0-9 and a-f; "" is nobody's. It comes
	// from the transport, which knows who asks, never from the request.
	Owner string
	UID   string // a string of any form; what is no uid is unknown
	// Size, SHA256 (hexadecimal) and KeySet (hexadecimal) announce a key.
	Size   *int64
	SHA256 string
	KeySet string
	// EvaluationKeys is a piece of a key and Offset its place in it.
	EvaluationKeys []byte
	Offset         *int64
	// EncryptedInputs are answered in order.
	EncryptedInputs [][]byte
	// Templates are the uids of those that each input is compared with.
	Templates []string
}

// Response is the reply to a request: exactly one field is set.
type Response struct {
	Key         *KeyState    // save_key, append_key, key_status
	Deleted     bool         // delete_key
	Outputs     [][]byte     // inference, in the order of the inputs
	Description *Description // describe
	Piece       []byte       // fetch_templates
}

// KeyState says how far a key is.
type KeyState struct {
	UID      string `json:"uid"`
	Size     int64  `json:"size"`
	Received int64  `json:"received"`
	// Missing are the ranges [begin, end) that have still to be sent.
	Missing [][2]int64 `json:"missing"`
	// Sealed: the key is complete, checked, and ready for inference.
	Sealed bool `json:"sealed"`
}

// Description is what a client needs to know and to have.
type Description struct {
	Protocol     int     `json:"protocol"` // version, 1
	Model        Summary `json:"model"`
	KeySet       string  `json:"key_set"` // hexadecimal
	KeyBytes     int64   `json:"key_bytes"`
	RequestBytes int     `json:"request_bytes"`
	ReplyBytes   int     `json:"reply_bytes"`
	MaxPiece     int     `json:"max_piece_bytes"`
	MaxInputs    int     `json:"max_inputs"`
	BatchSize    int     `json:"batch_size"` // samples in an input
	ClientZip    []byte  `json:"client_zip,omitempty"`
	// TemplateSet, in hexadecimal, is empty for a model whose users store no templates.
	TemplateSet string `json:"template_set,omitempty"`
}
