// Package secret is the user's side of package fhe: the secret key and what only its owner can do with it. It makes the
// evaluation keys that a server needs, encrypts inputs and decrypts replies.
//
//	key, err := secret.GenerateKey(params)
//	err = key.WriteEvaluationKeys(ctx, w, circuit.Keys(), id, pool, nil) // once, to the server
//	request, err := key.Encrypt(circuit, model, vectors)                // per question, to the server
//	answer, err := key.Decrypt(circuit, model, reply)                   // from the server
//
// # What is dangerous
//
// Nothing in this package may run where the server runs.
//
// Decrypted values must never go back to the server or to anybody else, not even in part and not even as a decision
// that depends on them: CKKS is not secure against that (Li and Micciancio, ePrint 2020/1533). A decrypted value is the
// message plus an error, and together with the ciphertext it gives the secret key away by linear algebra. Whoever has
// to publish a result rounds it first, far above the error.
//
// The bytes of Key.MarshalBinary are the secret key in clear: store them as one stores a private key. Destroy
// overwrites a key in memory as far as Go allows.
package secret
