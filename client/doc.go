// Package client is the user's side of encrypted inference: it makes keys, encrypts questions, decrypts answers, and
// talks to an endpoint that can read neither.
//
//	endpoint, err := client.New("https://…", token, client.Options{})
//	description, err := endpoint.Describe(ctx)               // or client.Load("compiled_model")
//	model, err := client.Read(description.ClientZip)
//	err = model.GenerateKeys()
//	keys, err := model.EvaluationKeys(ctx, nil)
//	uid, err := endpoint.Upload(ctx, model.KeySet(), bytes.NewReader(keys), client.Upload{}) // once
//
//	row, err := model.ReadRow(cells)                         // for models of tables of text
//	question, err := model.QuantizeEncryptSerialize(row)     // for each row
//	reply, err := endpoint.Infer(ctx, uid, question)
//	answer, err := model.DeserializeDecryptDequantize(reply)
//
//	answers, err := model.InferBatch(ctx, endpoint, uid, rows) // many rows, for models of either packing
//
//	enrolment, err := model.Enrol(ctx, endpoint, names, vectors) // for galleries of their users
//	matches, err := model.Match(ctx, endpoint, uid, []client.Enrolment{enrolment}, vector, 5)
//
// # Repeats
//
// A request is repeated when the connection was lost, up to four times in a row, and when the endpoint says that it is
// busy, not ready, or without its key store, or a proxy that it cannot reach it (502, 503, 504): after the time that it
// names in Retry-After, or else after one that doubles from try to try, lengthened at random so that clients do not come
// back together. Options.Patience bounds the wait. A repeat changes nothing where the first one arrived; only the upload
// that an answer to a first save_key was lost for stays behind, unused, until it expires. Every other failure is returned
// at once. CodeOf tells what happened, in the codes of the protocol (handler/PROTOCOL.md) and NoConnection.
//
// An upload that was cut goes on where it stopped: by itself while Upload runs, and by another call with the uid that
// Upload returned, also from another process that has the same file of keys.
//
// # What is dangerous
//
// A decrypted value must never leave its owner, not even in part, rounded little, or as a decision that others see:
// with the ciphertext it gives away the secret key (Li and Micciancio, ePrint 2020/1533). For the same reason nothing in this
// package sends or repeats anything because of what was decrypted; do not build such a loop around it either. (Withdraw
// sends what it has decrypted, encrypted anew, after it has made sure that the endpoint did not choose it.)
//
// A uid is a capability: who has it can use and delete the key. Do not log it. Over plain HTTP, uids and tokens can be
// read on the way; New refuses to send a token like that to another machine.
//
// The endpoint sees how many questions are asked and when. Whether its answers are those of the model that it claims
// to serve cannot be checked from here.
package client
