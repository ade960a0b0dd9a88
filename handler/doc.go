// Package handler answers the requests of the endpoint: it takes evaluation keys in pieces, keeps them in a key store,
// and runs encrypted inputs through the model with the key that a request names. It knows no HTTP and no particular
// store; package endpoint/server puts it on the network. PROTOCOL.md describes the methods for writers of clients.
//
//	h, err := handler.New(model, store, handler.Options{})
//	reply, err := h.Handle(ctx, handler.Request{Method: handler.Inference, UID: uid, EncryptedInputs: inputs})
//
// Every error of Handle is an *Error: its code names the failure, its text is fit for users, and its cause is for
// the operator's log only.
//
// # Dangers
//
// A uid is a capability. It appears in replies to its owner and nowhere else: not in errors, not in logs, not in
// metrics. Someone else's uid, one that never was, and one of another model's key set get the same answer.
//
// All bytes of a request come from strangers. The handler checks their sizes; their content is checked by the model,
// which must refuse what does not belong to it instead of computing on it.
//
// Memory: the handler holds at most Options.KeyCacheBytes of expanded keys (or one key, where a single one is larger),
// and beside them those that running requests use: at most Options.Workers. Of templates, a request holds at most
// Options.KeyCacheBytes, or a single file.
package handler
