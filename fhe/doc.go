// Package fhe runs circuits on encrypted vectors (CKKS, Cheon et al., ePrint 2016/421). It is an engine of its own on the
// kernels of package kernel; its rings, roots, NTT order, slot order and keys are Lattigo's, so that ciphertexts and keys
// can be exchanged with Lattigo and results compared.
//
// On a server:
//
//	pool := fhe.NewPool(cores)                                     // one for the process
//	program, err := fhe.NewProgram(ctx, circuit, pool)             // once a model
//	keys, err := fhe.ReadKeys(file, program.Parameters(), circuit.Keys(), keySet, pool) // once a user
//	reply, err := program.Answer(ctx, keys, model, request, nil)
//
// The user's side is package secret. FORMAT.md specifies every byte that travels.
//
// # What is dangerous
//
// Levels and scales are the circuit's responsibility: a value that outgrows its modulus decrypts to noise, and nothing
// here can notice.
//
// Replies are exact ciphertexts of the circuit's result and not flooded with noise: their error depends on the model, and
// the user, who can decrypt, learns it.
//
// What comes from outside goes through ReadKeys, Answer, ParseInputs and ParseReplies, which check lengths before they allocate
// and every value's range. They cannot check that a key is a key: a wrong one gives its owner wrong answers and nobody
// else anything.
package fhe
