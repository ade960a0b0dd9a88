package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"cipherpoint/circuit"
	"cipherpoint/compiler/approximation"
	"cipherpoint/creating_models/publish"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/pipeline"
)

// Row is what is measured of one recipe. Bytes are bytes on the wire, times are medians.
type Row struct {
	Recipe            string  `json:"recipe"`
	Samples           int     `json:"samples"`
	AccuracyClear     float64 `json:"accuracy_clear"`     // on the whole test set
	AccuracyEncrypted float64 `json:"accuracy_encrypted"` // on the samples
	Agreement         float64 `json:"agreement"`          // share of samples with the same label in clear and encrypted
	MaxScoreError     float64 `json:"max_score_error"`
	SecurityBits      int     `json:"security_bits"` // at least
	LogN              int     `json:"log_n"`
	LogQP             float64 `json:"log_qp"`
	Levels            int     `json:"levels"` // primes that are divided out
	Keys              int     `json:"keys"`
	KeyBytes          int64   `json:"key_bytes"`
	RequestBytes      int     `json:"request_bytes"`
	ReplyBytes        int     `json:"reply_bytes"`
	KeygenMS          float64 `json:"keygen_ms"`
	EncryptMS         float64 `json:"encrypt_ms"`
	ServerMSOneCore   float64 `json:"server_ms_one_core"`
	ServerMSAllCores  float64 `json:"server_ms_all_cores"`
	DecryptMS         float64 `json:"decrypt_ms"`
	ColdStartMS       float64 `json:"cold_start_ms"`
	RSSMB             float64 `json:"rss_mb"` // peak, of an endpoint with one user

	whole     int     // size of the test set
	clearSame float64 // accuracy in clear on the samples
	estimate  float64 // the compiler's, for one core
	circuit   *circuit.Circuit
	inputs    [][]float64 // its, for a test sample

	approximation *approximation.Result
	approximated  float64 // accuracy in clear with polynomials, on the whole test set

	scoreRange                         float64 // between the largest and the smallest score
	simulatedAgreement, simulatedError float64 // of the whole test set
}

// measure trains, compiles and saves a recipe, then asks encrypted questions of it: in this process on all cores and on
// one, and of an endpoint in a process of its own.
func measure(ctx context.Context, recipe recipes.Recipe, o publish.Options, dir string) (Row, error) {
	m, err := publish.Build(ctx, recipe, o)
	if err != nil {
		return Row{}, err
	}
	if err := m.Save(dir); err != nil {
		return Row{}, err
	}
	e, err := m.Try(ctx, dir, o.EncryptedSamples, func(done, of int) { o.Progress("encrypted samples", done, of) })
	if err != nil {
		return Row{}, err
	}
	spec := e.Model.Spec()
	p := spec.Signature.Parameters
	row := Row{
		Recipe: recipe.Name, Samples: len(e.Answers), SecurityBits: circuit.SecurityBits, LogN: p.LogN, LogQP: p.LogQP(),
		Levels: p.MaxLevel(), Keys: spec.Keys.Count(), KeyBytes: spec.KeyBytes(), RequestBytes: spec.RequestBytes(),
		ReplyBytes: spec.ReplyBytes(), KeygenMS: milliseconds(e.KeyGen), EncryptMS: milliseconds(e.Encrypt), DecryptMS: milliseconds(e.Decrypt),
		ServerMSOneCore: milliseconds(e.OneCore), ServerMSAllCores: milliseconds(e.All),
		AccuracyClear: m.Hits(m.Clear).Share(), whole: m.Test.Len(), estimate: m.Compiled.Candidates[0].Latency, circuit: m.Compiled.Circuit,
	}
	row.approximation = m.Compiled.Approximation
	row.approximated = m.Hits(m.Polynomial).Share()
	row.clearSame, row.AccuracyEncrypted = m.Hits(m.Clear[:row.Samples]).Share(), m.Hits(e.Answers).Share()
	low, high, agree := math.Inf(1), math.Inf(-1), 0
	for i, s := range m.Simulated {
		for k, v := range s.Scores {
			low, high = min(low, v), max(high, v)
			row.simulatedError = max(row.simulatedError, math.Abs(s.NoisyScores[k]-v))
		}
		if pipeline.Label(s.NoisyAnswer) == pipeline.Label(m.Clear[i]) {
			agree++
		}
	}
	row.scoreRange, row.simulatedAgreement = high-low, float64(agree)/float64(row.whole)
	agree = 0
	for i, s := range m.Simulated[:row.Samples] {
		for k := range s.Scores {
			row.MaxScoreError = max(row.MaxScoreError, math.Abs(e.Scores[i][k]-s.Scores[k]))
		}
		if pipeline.Label(e.Answers[i]) == pipeline.Label(m.Clear[i]) {
			agree++
		}
	}
	row.Agreement = float64(agree) / float64(row.Samples)
	if row.inputs, err = m.Compiled.Pipeline.Encode(m.Test.X[0]); err != nil {
		return Row{}, err
	}
	row.ColdStartMS, row.RSSMB, err = serveOnce(ctx, dir, e)
	return row, err
}

func milliseconds(list []time.Duration) float64 {
	return float64(publish.Median(list).Microseconds()) / 1e3
}

// dataFolder is the folder of data sets: the flag's, the environment's, or one beside the project.
func dataFolder(flag string) (string, error) {
	for _, dir := range []string{flag, os.Getenv("CIPHERPOINT_DATA")} {
		if dir != "" {
			if _, err := os.Stat(dir); err != nil {
				return "", fmt.Errorf("data folder: %w", err)
			}
			return dir, nil
		}
	}
	return "", nil
}
