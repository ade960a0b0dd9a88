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
	if keystore.CheckUID(r.UID) != nil {
		return Response{}, &Error{Code: UnknownKey}
	}
	leave, err := h.work.enter()
	if err != nil {
		return Response{}, err
	}
	defer leave()
	keys, err := h.keysOf(ctx, r.UID)
	if err != nil {
		return Response{}, err
	}
	outputs := make([][]byte, len(r.EncryptedInputs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(h.options.Workers)
	for i, input := range r.EncryptedInputs {
		group.Go(func() error {
			return h.work.work(ctx, func() error {
				start := time.Now()
				output, err := h.model.Infer(ctx, keys, input)
				if err != nil {
					return unsuitable(InvalidInput, err)
				}
				h.options.OnInference(time.Since(start))
				outputs[i] = output
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
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

// keysOf returns the expanded key. The store is asked about every use, so that a key that was deleted or has expired
// ends on all endpoints that share the store, and one in use does not expire.
func (h *EndpointHandler) keysOf(ctx context.Context, uid string) (Keys, error) {
	if keys, confirmed, ok := h.keys.get(uid); ok {
		asked, cancel := context.WithTimeout(ctx, storeTime)
		defer cancel()
		switch err := h.store.Touch(asked, uid); {
		case err == nil:
			h.keys.confirm(uid)
			return keys, nil
		case errors.Is(err, keystore.ErrNotFound):
			h.keys.remove(uid)
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.Is(err, keystore.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded):
			return nil, err
		case time.Since(confirmed) > h.options.Grace:
			return nil, err
		}
		return keys, nil
	}
	return h.keys.once(ctx, "load "+uid, func(ctx context.Context) (keys Keys, err error) {
		err = h.work.work(ctx, func() (err error) {
			keys, err = h.load(ctx, uid)
			return err
		})
		if err == nil {
			h.keys.add(uid, keys)
		}
		return keys, err
	})
}
