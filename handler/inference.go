package handler

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"cipherpoint/keystore"
)

// inference runs the inputs with the key that uid names.
func (h *EndpointHandler) inference(ctx context.Context, r Request) (Response, error) {
	if r.UID == "" {
		return Response{}, Errorf(MissingField, "uid")
	}
	if err := h.checkInputs(r.EncryptedInputs); err != nil {
		return Response{}, err
	}
	if err := h.checkTemplates(r.Templates); err != nil {
		return Response{}, err
	}
	if keystore.CheckUID(r.UID) != nil {
		return Response{}, &Error{Code: UnknownKey}
	}
	leave, err := h.work.enter()
	if err != nil {
		return Response{}, err
	}
	defer leave()
	if err := h.confirm(ctx, h.keySet, r.UID); err != nil {
		return Response{}, err
	}
	for _, uid := range r.Templates {
		if err := h.confirm(ctx, h.templateSet, uid); err != nil {
			return Response{}, err
		}
	}
	outputs := make([][]byte, len(r.EncryptedInputs))
	answer := func(ctx context.Context, i int) error {
		return h.work.work(ctx, func() error {
			// Not before: requests that wait would hold more keys than the cache may.
			keys, err := h.keysOf(ctx, h.keySet, r.UID)
			if err != nil {
				return err
			}
			start := time.Now()
			outputs[i], err = h.infer(ctx, keys, r.Templates, r.EncryptedInputs[i])
			if err != nil {
				return unsuitable(InvalidInput, err)
			}
			h.options.OnInference(time.Since(start))
			return nil
		})
	}
	if len(outputs) == 1 { // on a stack that earlier requests of the connection have grown
		err = answer(ctx, 0)
	} else {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(h.options.Workers)
		for i := range outputs {
			group.Go(func() error { return answer(ctx, i) })
		}
		err = group.Wait()
	}
	if err != nil {
		return Response{}, err
	}
	return Response{Outputs: outputs}, nil
}

func (h *EndpointHandler) checkInputs(inputs [][]byte) error {
	if len(inputs) == 0 {
		return Errorf(MissingField, "encrypted_inputs")
	}
	if most := h.maxInputs(); len(inputs) > most {
		return Errorf(TooLarge, "%d encrypted inputs in one request: at most %d", len(inputs), most)
	}
	want := h.model.RequestBytes()
	for i, input := range inputs {
		if len(input) != want {
			return Errorf(InvalidInput, "input %d has %d bytes: want %d", i, len(input), want)
		}
	}
	return nil
}

// storeTime bounds how long the store may take to confirm a key that is in memory.
const storeTime = time.Second

// confirm asks the store about a key that is in memory, so that one that was deleted or has expired ends on all endpoints
// that share the store, and one in use does not expire.
func (h *EndpointHandler) confirm(ctx context.Context, set, uid string) error {
	confirmed, ok := h.keys.confirmed(set, uid)
	if !ok {
		return nil // loading it will ask
	}
	asked, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	switch err := h.store.Touch(asked, uid); {
	case err == nil:
		h.keys.confirm(set, uid)
		return nil
	case errors.Is(err, keystore.ErrNotFound):
		h.keys.remove(set, uid)
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.Is(err, keystore.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded):
		return err
	case time.Since(confirmed) > h.options.Grace:
		return err
	}
	return nil
}

// keysOf returns the expanded key, or templates, of a set, from memory or from the store. The caller holds a worker.
func (h *EndpointHandler) keysOf(ctx context.Context, set, uid string) (Keys, error) {
	if keys, ok := h.keys.get(set, uid); ok {
		return keys, nil
	}
	return h.keys.once(ctx, "load "+set+uid, func(ctx context.Context) (Keys, error) {
		if keys, ok := h.keys.peek(set, uid); ok { // another flight has landed since
			return keys, nil
		}
		keys, err := h.load(ctx, set, uid)
		if err == nil {
			h.keys.add(set, uid, keys)
		}
		return keys, err
	})
}
