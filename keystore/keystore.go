// Package keystore is the contract for the place where an endpoint keeps its users' evaluation keys: uploaded in
// pieces, checked once, sealed, and from then on read-only until they are deleted or fall out of use.
//
// The life of a key:
//
//	Begin   announces size, digest and key set of the upload; repeating it is harmless
//	Put     brings pieces, in any order, several at once; repeating one is harmless
//	Seal    checks digest and content of the complete upload and makes it a key
//	Open    streams a sealed key; Touch says that one is in use without reading it
//	Delete  removes an upload or a key at once
//
// Package open makes a [Store] from an address; redis and directory hold the implementations; keystoretest is the
// suite that each of them passes.
//
// # Dangers
//
// A uid is a capability: who knows it uses the key. Stores never list uids and no error of a store contains one.
// The bytes are those of an untrusted user, also after Seal: only the function given to Seal has looked into them.
// A reader from Open must be read to its end before its bytes are relied upon, since the digest is compared there.
package keystore

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
)

// MaxPiece is the length in bytes up to which Put is atomic.
const MaxPiece = 4 << 20

// MaxKeySet is the largest length of Upload.KeySet in bytes.
const MaxKeySet = 64

// MaxOwner is the largest length of an owner's name.
const MaxOwner = 64

// MaxRanges is the largest number of separate ranges that an upload may consist of while it has gaps.
const MaxRanges = 256

// The errors that callers branch on; others come only from the context or from the function given to Seal.
// They are wrapped: compare with errors.Is.
var (
	// ErrInvalid: an argument is malformed (uid, size, key set, offset, piece outside of the announced size, more
	// than MaxRanges separate ranges). Nothing has changed.
	ErrInvalid = errors.New("keystore: invalid argument")
	// ErrTooLarge: the announced size is over the limit of this store. Nothing has changed.
	ErrTooLarge = errors.New("keystore: larger than this store allows")
	// ErrNotFound: no such uid, whether it never was, has expired or was deleted.
	ErrNotFound = errors.New("keystore: not found")
	// ErrConflict: the uid is in use with another announcement, or holds other bytes at that place. Nothing has changed.
	ErrConflict = errors.New("keystore: conflicts with what is stored")
	// ErrIncomplete: pieces are missing, so the upload cannot be sealed.
	ErrIncomplete = errors.New("keystore: upload has gaps")
	// ErrNotSealed: there is an upload of this uid, but not yet a key.
	ErrNotSealed = errors.New("keystore: not sealed")
	// ErrDigest: the complete upload does not have the announced SHA-256. It has been discarded; begin again.
	ErrDigest = errors.New("keystore: content differs from the announced digest")
	// ErrCorrupt: the store no longer holds what was stored. Delete the key and upload it again.
	ErrCorrupt = errors.New("keystore: stored key is damaged")
	// ErrFull: there is no room. The upload has been discarded; begin again later.
	ErrFull = errors.New("keystore: no room left")
	// ErrLimit: the owner has as many keys as it may have. Nothing has changed.
	ErrLimit = errors.New("keystore: the owner has no more keys to its account")
	// ErrUnavailable: the place behind the store does not answer or fails. The same call may be repeated later; no
	// call needs to be made to recover.
	ErrUnavailable = errors.New("keystore: unavailable")
)

// Upload is what the owner of a key announces about it.
type Upload struct {
	// Size of the whole key in bytes, from 1 to the store's limit.
	Size int64
	// SHA256 of the whole key.
	SHA256 [sha256.Size]byte
	// KeySet names the parameters and the set of keys that the content is for. It is opaque to the store: 0 to
	// MaxKeySet bytes of any value.
	KeySet string
}

// Info describes an upload or a key.
type Info struct {
	Upload
	// Present are the ranges of bytes that the store holds: ascending, separate, none empty.
	Present Ranges
	// Sealed is true for a key, false for an upload.
	Sealed bool
}

// Complete reports whether all bytes are there; only then can the upload be sealed.
func (i Info) Complete() bool {
	return i.Sealed || len(i.Present) == 1 && i.Present[0] == Range{0, i.Size}
}

// Store keeps evaluation keys.
//
// Concurrency: all methods may be called at the same time, on the same uid, from several goroutines and from several
// processes that share the place behind the store. Each call has its effect at one moment or not at all, except for a
// Put longer than MaxPiece.
//
// Durability: when a call returns without error, its effect outlasts the process, and the machine to the extent that
// the implementation documents. A process that dies inside a call leaves the state before or after it.
//
// Retry: every call may be repeated after an error or a lost reply. After an error of the context the effect may or
// may not have taken place.
//
// Expiry: an upload disappears when nothing was put for the upload lifetime, a key when it was not used (Seal, Open,
// Touch) for the key lifetime, where that is not 0. What has expired is ErrNotFound.
//
// Arguments: a uid that is not a lower-case UUIDv4 is ErrInvalid in every method.
type Store interface {
	// Begin announces an upload and returns what is there of it: nothing for a new one, its ranges for one that was
	// cut off, the sealed key for one that had ended. Another announcement for the same uid is ErrConflict. A size over
	// the limit is ErrTooLarge, before any room is taken; room is taken as pieces arrive, never more than Size.
	Begin(ctx context.Context, uid string, upload Upload) (Info, error)

	// Put stores the piece that starts at offset and returns what is there including it. The piece may overlap with
	// what is stored if the bytes agree, sealed or not, so that a repeat is harmless; it is ErrConflict if they do not,
	// ErrInvalid if it is empty or reaches beyond Size. A piece longer than MaxPiece is compared as a whole first, then
	// stored in parts; a failure in between may leave some of them. The store does not keep piece.
	Put(ctx context.Context, uid string, offset int64, piece []byte) (Info, error)

	// Seal makes the complete upload a key. It computes the digest while check reads the content, so that the content
	// is read once and in constant memory; check need not read to the end and may be nil. Then:
	//   - the digest differs: ErrDigest, and the upload is discarded;
	//   - check fails: its error as it is, and the upload is discarded, unless ctx has ended;
	//   - the store fails while reading: ErrUnavailable, and nothing has changed.
	// An upload with gaps is ErrIncomplete. Sealing a key again is harmless and calls no check. Where two callers seal
	// the same upload at once, both may call their check.
	Seal(ctx context.Context, uid string, check func(io.Reader) error) error

	// Open streams a sealed key in constant memory; an upload is ErrNotSealed. The reader delivers Size bytes and
	// io.EOF, or fails: with ErrCorrupt in place of io.EOF where the digest differs, with ErrNotFound if the key was
	// deleted meanwhile. It ends with ctx and is for one goroutine. The caller closes it.
	Open(ctx context.Context, uid string) (io.ReadCloser, Info, error)

	// Touch counts as a use of the sealed key: for callers that hold its content in memory. ErrNotFound tells them
	// that it is gone.
	Touch(ctx context.Context, uid string) error

	// Status describes an upload or a key. It does not count as a use.
	Status(ctx context.Context, uid string) (Info, error)

	// Delete removes an upload or a key, whatever its state.
	Delete(ctx context.Context, uid string) error

	// Claim puts an upload or key to the account of an owner, unless limit others are there: ErrLimit. What has been
	// deleted or has expired no longer counts; repeating a claim is harmless. Claims at the same moment may all be refused
	// where one would still have had room, never all be granted. An owner is named by 1 to MaxOwner characters 0-9 and a-f.
	Claim(ctx context.Context, owner, uid string, limit int) error

	// Ping reports whether the store can be used now: nil or ErrUnavailable.
	Ping(ctx context.Context) error

	// Close releases connections and ends background work. No other method may be called after it.
	Close() error
}
