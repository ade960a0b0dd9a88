package handler

import (
	"context"
	"io"

	"cipherpoint/keystore"
)

// Templates are stored as keys are: the same methods bring them, under the name of another set, and the same limits bound
// them.

// takes reports whether keys or templates of a set are stored here.
func (h *EndpointHandler) takes(set string) bool {
	return set == h.keySet || h.gallery != nil && set == h.templateSet
}

// checkSize checks the size of what is announced as of a set.
func (h *EndpointHandler) checkSize(set string, size int64) error {
	if h.gallery != nil && set == h.templateSet {
		return unsuitable(InvalidKey, h.gallery.CheckTemplates(size))
	}
	if want := h.model.KeyBytes(); size != want {
		return Errorf(InvalidKey, "it has %d bytes, announced or sent: want %d", size, want)
	}
	return nil
}

// checkTemplates checks the uids of the templates that inputs are compared with.
func (h *EndpointHandler) checkTemplates(uids []string) error {
	switch {
	case h.gallery == nil && len(uids) > 0:
		return Errorf(BadRequest, "this model compares with no templates")
	case h.gallery != nil && len(uids) == 0:
		return Errorf(MissingField, "templates")
	case len(uids) > MaxTemplates:
		return Errorf(TooLarge, "%d files of templates in one request: at most %d", len(uids), MaxTemplates)
	}
	for _, uid := range uids {
		if keystore.CheckUID(uid) != nil {
			return &Error{Code: UnknownKey}
		}
	}
	return nil
}

// infer answers one input. The caller holds a worker.
func (h *EndpointHandler) infer(ctx context.Context, keys Keys, uids []string, input []byte) ([]byte, error) {
	if h.gallery == nil {
		return h.model.Infer(ctx, keys, input)
	}
	templates := make([]Keys, len(uids))
	held := int64(0)
	for i, uid := range uids {
		var err error
		if templates[i], err = h.keysOf(ctx, h.templateSet, uid); err != nil {
			return nil, err
		}
		if held += templates[i].Bytes(); i > 0 && held > h.options.KeyCacheBytes {
			return nil, Errorf(TooLarge, "these templates take more memory than there is for one request: compare with fewer at a time")
		}
	}
	return h.gallery.Match(ctx, keys, templates, input)
}

// fetchTemplates returns a piece of stored templates to their owner, who alone can read them.
func (h *EndpointHandler) fetchTemplates(ctx context.Context, r Request) (Response, error) {
	switch {
	case r.UID == "":
		return Response{}, Errorf(MissingField, "uid")
	case r.Offset == nil:
		return Response{}, Errorf(MissingField, "offset")
	}
	info, err := h.status(ctx, r.UID)
	switch {
	case err != nil:
		return Response{}, err
	case h.gallery == nil || info.KeySet != h.templateSet:
		return Response{}, &Error{Code: UnknownKey}
	case *r.Offset < 0 || *r.Offset >= info.Size:
		return Response{}, Errorf(BadRequest, "offset is beyond the end")
	}
	leave, err := h.work.enter()
	if err != nil {
		return Response{}, err
	}
	defer leave()
	piece := make([]byte, min(MaxPiece, info.Size-*r.Offset))
	err = h.work.work(ctx, func() error {
		content, _, err := h.store.Open(ctx, r.UID)
		if err != nil {
			return err
		}
		defer content.Close()
		if _, err := io.CopyN(io.Discard, content, *r.Offset); err != nil {
			return err
		}
		if _, err := io.ReadFull(content, piece); err != nil || *r.Offset+int64(len(piece)) < info.Size {
			return err
		}
		_, err = io.Copy(io.Discard, content) // where the store compares the digest
		return err
	})
	return Response{Piece: piece}, err
}
