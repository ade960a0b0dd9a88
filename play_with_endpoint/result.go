package main

import (
	"math"
	"strconv"
	"time"

	"cipherpoint/client"
	"cipherpoint/model/dataset"
)

// result is what --json prints. Bytes are bytes of bodies on the wire, of one question where they are of questions.
type result struct {
	Name                string      `json:"name"`
	Kind                string      `json:"kind"`
	Model               string      `json:"model"`
	Samples             int         `json:"samples"`
	Accuracy            *float64    `json:"accuracy,omitempty"`        // where the answers are known
	Agreement           *float64    `json:"agreement,omitempty"`       // where the model is at hand in clear
	MaxScoreError       *float64    `json:"max_score_error,omitempty"` // against the model in clear
	Keys                int         `json:"keys"`
	KeyBytes            int64       `json:"key_bytes"`
	RequestBytes        int64       `json:"request_bytes"`
	ReplyBytes          int64       `json:"reply_bytes"`
	KeygenSeconds       float64     `json:"keygen_seconds"`
	UploadSeconds       float64     `json:"upload_seconds"`
	LatencyMS           percentiles `json:"latency_ms"`
	EncryptMS           percentiles `json:"encrypt_ms"`
	RoundTripMS         percentiles `json:"round_trip_ms"`
	DecryptMS           percentiles `json:"decrypt_ms"`
	TotalSeconds        float64     `json:"total_seconds"`
	SecondsPerInference float64     `json:"seconds_per_inference"`
	Answers             []answer    `json:"answers"`

	agreed     int
	compared   int
	worstError float64
}

// answer is the decrypted answer to one question.
type answer struct {
	Prediction float64   `json:"prediction"` // index of a class, or the value of a regression
	Class      string    `json:"class,omitempty"`
	Values     []float64 `json:"values"`
	Expected   *float64  `json:"expected,omitempty"`
	Best       []match   `json:"best,omitempty"` // as many as were asked for
	Seconds    float64   `json:"seconds"`

	scores                      []float64
	encrypt, roundTrip, decrypt time.Duration
}

// match is a class or template with its score.
type match struct {
	Name  string  `json:"name"`
	Score float64 `json:"score"`
}

// text is the answer as the original's line has it, with the name of the class where nothing else says what is meant.
func (a *answer) text() string {
	text := strconv.FormatFloat(a.Prediction, 'g', -1, 64)
	if a.Expected != nil {
		return text + " with expected " + strconv.FormatFloat(*a.Expected, 'g', -1, 64)
	}
	if a.Class != "" && a.Class != text {
		text += " (" + a.name() + ")"
	}
	return text
}

// name is the class, or the value.
func (a *answer) name() string {
	if a.Class != "" {
		return a.Class
	}
	return strconv.FormatFloat(a.Prediction, 'g', 6, 64)
}

// compare counts an answer that the model in clear gives as well, and notes the error of its scores.
func (r *result) compare(a answer, clear client.Answer) {
	r.compared++
	if a.Class == "" || a.Prediction == prediction(clear) {
		r.agreed++
	}
	for i, s := range a.scores {
		r.worstError = max(r.worstError, math.Abs(s-clear.Scores[i]))
	}
}

// summarize fills in what follows from the answers.
func (r *result) summarize(set *dataset.Set) {
	n := len(r.Answers)
	r.SecondsPerInference = r.TotalSeconds / float64(n)
	var whole, encrypt, roundTrip, decrypt []time.Duration
	right := 0
	for _, a := range r.Answers {
		whole = append(whole, a.encrypt+a.roundTrip+a.decrypt)
		encrypt, roundTrip, decrypt = append(encrypt, a.encrypt), append(roundTrip, a.roundTrip), append(decrypt, a.decrypt)
		if a.Expected != nil && *a.Expected == a.Prediction {
			right++
		}
	}
	r.LatencyMS, r.EncryptMS, r.RoundTripMS, r.DecryptMS = percentilesOf(whole), percentilesOf(encrypt), percentilesOf(roundTrip), percentilesOf(decrypt)
	if set.Labels != nil && set.Y != nil {
		share := float64(right) / float64(n)
		r.Accuracy = &share
	}
	if r.compared > 0 {
		share := float64(r.agreed) / float64(r.compared)
		r.Agreement, r.MaxScoreError = &share, &r.worstError
	}
}
