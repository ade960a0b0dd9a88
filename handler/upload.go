package handler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/google/uuid"

	"cipherpoint/keystore"
)

// saveKey begins an upload, or goes on with the one named by uid, and takes the piece that may come along.
func (h *EndpointHandler) saveKey(ctx context.Context, r Request) (Response, error) {
	upload, err := h.announcement(r)
	if err != nil {
		return Response{}, err
	}
	if err := checkPieceLength(r.EvaluationKeys); err != nil {
		return Response{}, err
	}
	uid := r.UID
	var info keystore.Info
	if uid == "" {
		random, err := uuid.NewRandom()
		if err != nil {
			return Response{}, err
		}
		uid = random.String()
		if info, err = h.begin(ctx, r.Owner, uid, upload); err != nil {
			return Response{}, err
		}
	} else {
		// Not Begin: a uid must be the server's own random number, so one that is not there is not brought about.
		if info, err = h.status(ctx, uid); err != nil {
			return Response{}, err
		}
		if info.Upload != upload {
			return Response{}, &Error{Code: Conflict}
		}
	}
	if len(r.EvaluationKeys) > 0 {
		if info, err = h.store.Put(ctx, uid, 0, r.EvaluationKeys); err != nil {
			return Response{}, err
		}
	}
	return h.seal(ctx, uid, info)
}

// begin announces an upload and puts it to its owner's account. It is claimed once it is there, since what is not there
// counts as gone.
func (h *EndpointHandler) begin(ctx context.Context, owner, uid string, upload keystore.Upload) (keystore.Info, error) {
	info, err := h.store.Begin(ctx, uid, upload)
	if err != nil || owner == "" || h.options.KeysPerOwner == 0 {
		return info, err
	}
	if err := h.store.Claim(ctx, owner, uid, h.options.KeysPerOwner); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
		defer cancel()
		return info, errors.Join(err, h.store.Delete(ctx, uid))
	}
	return info, nil
}

// announcement returns what save_key says about the key. Size and digest left out are those of the piece that comes
// along, which then is the whole key; a key set left out is the model's.
func (h *EndpointHandler) announcement(r Request) (keystore.Upload, error) {
	upload := keystore.Upload{KeySet: h.keySet}
	if r.KeySet != "" {
		upload.KeySet = r.KeySet
	}
	if !h.takes(upload.KeySet) {
		return upload, &Error{Code: WrongKeySet}
	}
	switch {
	case r.Size == nil && r.SHA256 == "" && len(r.EvaluationKeys) == 0:
		return upload, Errorf(MissingField, "size and sha256, or the whole key as evaluation_keys")
	case r.Size == nil && r.SHA256 == "":
		upload.Size, upload.SHA256 = int64(len(r.EvaluationKeys)), sha256.Sum256(r.EvaluationKeys)
	case r.Size == nil:
		return upload, Errorf(MissingField, "size")
	case r.SHA256 == "":
		return upload, Errorf(MissingField, "sha256")
	default:
		digest, err := hex.DecodeString(r.SHA256)
		if err != nil || len(digest) != sha256.Size {
			return upload, Errorf(BadRequest, "sha256 must be 64 hexadecimal digits")
		}
		upload.Size, upload.SHA256 = *r.Size, [sha256.Size]byte(digest)
	}
	return upload, h.checkSize(upload.KeySet, upload.Size)
}

func checkPieceLength(piece []byte) error {
	if len(piece) > MaxPiece {
		return Errorf(TooLarge, "a piece of a key has at most %d bytes", MaxPiece)
	}
	return nil
}

// appendKey stores a piece at its offset.
func (h *EndpointHandler) appendKey(ctx context.Context, r Request) (Response, error) {
	switch {
	case r.UID == "":
		return Response{}, Errorf(MissingField, "uid")
	case len(r.EvaluationKeys) == 0:
		return Response{}, Errorf(MissingField, "evaluation_keys")
	case r.Offset == nil:
		return Response{}, Errorf(MissingField, "offset")
	}
	if err := checkPieceLength(r.EvaluationKeys); err != nil {
		return Response{}, err
	}
	if _, err := h.status(ctx, r.UID); err != nil {
		return Response{}, err
	}
	info, err := h.store.Put(ctx, r.UID, *r.Offset, r.EvaluationKeys)
	if err != nil {
		return Response{}, err
	}
	return h.seal(ctx, r.UID, info)
}

func (h *EndpointHandler) keyStatus(ctx context.Context, r Request) (Response, error) {
	if r.UID == "" {
		return Response{}, Errorf(MissingField, "uid")
	}
	info, err := h.status(ctx, r.UID)
	if err != nil {
		return Response{}, err
	}
	return keyState(r.UID, info), nil
}

func (h *EndpointHandler) deleteKey(ctx context.Context, r Request) (Response, error) {
	if r.UID == "" {
		return Response{}, Errorf(MissingField, "uid")
	}
	if _, err := h.status(ctx, r.UID); err != nil {
		return Response{}, err
	}
	if err := h.store.Delete(ctx, r.UID); err != nil {
		return Response{}, err
	}
	h.keys.remove(h.keySet, r.UID)
	h.keys.remove(h.templateSet, r.UID)
	return Response{Deleted: true}, nil
}

// status describes an upload, a key of the model's key set, or templates; anything else is unknown.
func (h *EndpointHandler) status(ctx context.Context, uid string) (keystore.Info, error) {
	if keystore.CheckUID(uid) != nil {
		return keystore.Info{}, &Error{Code: UnknownKey}
	}
	info, err := h.store.Status(ctx, uid)
	if err != nil {
		return keystore.Info{}, err
	}
	if !h.takes(info.KeySet) {
		return keystore.Info{}, &Error{Code: UnknownKey}
	}
	return info, nil
}

// seal makes a complete upload a key. The check is the expansion itself, so that the key is in memory when its owner
// sends the first input.
func (h *EndpointHandler) seal(ctx context.Context, uid string, info keystore.Info) (Response, error) {
	if info.Sealed || !info.Complete() {
		return keyState(uid, info), nil
	}
	leave, err := h.work.enter()
	if err != nil {
		return Response{}, err
	}
	defer leave()
	_, err = h.keys.once(ctx, "seal "+uid, func(ctx context.Context) (keys Keys, err error) {
		err = h.work.work(ctx, func() error {
			return h.store.Seal(ctx, uid, func(r io.Reader) (err error) {
				keys, err = h.expand(ctx, info.KeySet, r)
				return err
			})
		})
		if err == nil && keys != nil {
			h.keys.add(info.KeySet, uid, keys)
		}
		return keys, err
	})
	if err != nil {
		return Response{}, err
	}
	info.Sealed = true
	return keyState(uid, info), nil
}

// expand makes a key or templates ready for use.
func (h *EndpointHandler) expand(ctx context.Context, set string, r io.Reader) (Keys, error) {
	start := time.Now()
	load := h.model.LoadKeys
	if set != h.keySet {
		load = h.gallery.LoadTemplates
	}
	keys, err := load(ctx, r)
	if err != nil {
		return nil, unsuitable(InvalidKey, err)
	}
	h.options.OnKeyLoad(time.Since(start))
	return keys, nil
}

// load reads a sealed key, or templates, of a set from the store.
func (h *EndpointHandler) load(ctx context.Context, set, uid string) (Keys, error) {
	r, info, err := h.store.Open(ctx, uid)
	if errors.Is(err, keystore.ErrNotSealed) {
		if _, err := h.status(ctx, uid); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if info.KeySet != set {
		return nil, &Error{Code: UnknownKey}
	}
	keys, err := h.expand(ctx, set, r)
	// The store compares the digest at the end; where it differs, that is the reason for whatever else went wrong.
	if _, damaged := io.Copy(io.Discard, r); damaged != nil {
		return nil, damaged
	}
	return keys, err
}

func keyState(uid string, info keystore.Info) Response {
	state := &KeyState{UID: uid, Size: info.Size, Received: info.Size, Missing: [][2]int64{}, Sealed: info.Sealed}
	if !info.Sealed {
		state.Received = info.Present.Len()
		for _, gap := range info.Present.Missing(info.Size) {
			state.Missing = append(state.Missing, [2]int64{gap.Begin, gap.End})
		}
	}
	return Response{Key: state}
}
