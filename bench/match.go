package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
	"cipherpoint/internal/format"
	"cipherpoint/internal/progress"
	"cipherpoint/matching"
)

// runMatch finds templates in galleries.
func runMatch(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("match", stderr)
	sizes := flags.String("templates", "10000,100000", "sizes of galleries, separated by commas")
	dimensions := flags.Int("dimensions", 128, "of a template")
	queries := flags.Int("queries", 200, "queries of each gallery")
	noise := flags.Float64("noise", 2.5, "length of what is added to a template, of length one, to make a query")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *dimensions < 1 || *dimensions > matching.MaxDimensions || *queries < 1 {
		return errors.New("dimensions or queries out of range")
	}
	fmt.Fprintln(stdout, describeMachine())
	fmt.Fprintf(stdout, "\nOne encrypted query against galleries of random unit vectors of %d dimensions. A query is a template with noise %.1f times\n"+
		"as long. Recall is how often the best score is that template's.\n\n", *dimensions, *noise)
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "templates\tkeys\trequest\treply\tone core\tall cores\tclient\tmemory\trecall, clear\tencrypted\tsame best\tlargest error\t")
	for _, text := range strings.Split(*sizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 {
			return fmt.Errorf("no size of a gallery: %q", text)
		}
		show := progress.Steps(stderr)
		f, err := match(ctx, size, *dimensions, *queries, *noise, show.Step)
		show.Done()
		if err != nil {
			return err
		}
		share := func(n int) string { return fmt.Sprintf("%.3f", float64(n)/float64(*queries)) }
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.1f ms\t%.1f ms\t%.1f ms\t%s\t%s\t%s\t%s\t%.4f\t\n", format.Integer(int64(size)), format.Bytes(float64(f.keys)), format.Bytes(float64(f.request)),
			format.Bytes(float64(f.reply)), inMS(f.oneCore), inMS(f.allCores), inMS(f.client), format.Bytes(float64(f.memory)), share(f.clear), share(f.encrypted), share(f.same), f.largest)
	}
	return t.Flush()
}

// matchFigures are those of one gallery.
type matchFigures struct {
	keys, request, reply, memory int64
	oneCore, allCores, client    time.Duration // medians; client is encryption and decryption
	clear, encrypted, same       int           // queries
	largest                      float64       // error of a score
}

func match(ctx context.Context, size, dimensions, queries int, noise float64, progress func(string, int, int)) (*matchFigures, error) {
	r := rand.New(rand.NewPCG(1, uint64(size)))
	templates := make([][]float64, size)
	for i := range templates {
		templates[i] = unitVector(r, dimensions)
	}
	progress("compiling the gallery", 0, 0)
	g, err := matching.Compile("gallery", templates)
	if err != nil {
		return nil, err
	}
	params, err := fhe.NewParameters(g.Circuit.Parameters)
	if err != nil {
		return nil, err
	}
	key, err := secret.GenerateKey(params)
	if err != nil {
		return nil, err
	}
	single, pool := fhe.NewPool(1), fhe.NewPool(runtime.GOMAXPROCS(0))
	var file bytes.Buffer
	if err := key.WriteEvaluationKeys(ctx, &file, g.Circuit.Keys(), fhe.ID{}, pool, nil); err != nil {
		return nil, err
	}
	f := &matchFigures{keys: int64(file.Len())}
	keys, err := fhe.ReadKeys(&file, params, g.Circuit.Keys(), fhe.ID{}, nil)
	if err != nil {
		return nil, err
	}
	program, err := fhe.NewProgram(ctx, g.Circuit, pool)
	if err != nil {
		return nil, err
	}
	f.memory = program.PlaintextBytes()
	alone, err := fhe.NewProgram(ctx, g.Circuit, single)
	if err != nil {
		return nil, err
	}
	s := program.Signature()
	f.request, f.reply = s.InputSize(), s.ReplySize()
	var one, all, own []time.Duration
	for i := range queries {
		progress("queries", i, queries)
		want := r.IntN(size)
		query := unitVector(r, dimensions)
		for k := range query {
			query[k] = templates[want][k] + noise*query[k]
		}
		start := time.Now()
		vectors, err := g.Pipeline.Encode(query)
		if err != nil {
			return nil, err
		}
		full := make([]float64, params.N())
		for j := range full {
			full[j] = vectors[0][j%len(vectors[0])]
		}
		request, err := key.Encrypt(s, fhe.ID{}, [][]float64{full})
		if err != nil {
			return nil, err
		}
		encryption := time.Since(start)
		inputs, err := fhe.ParseInputs(params, s, fhe.ID{}, request)
		if err != nil {
			return nil, err
		}
		start = time.Now()
		replies, err := program.Run(ctx, keys, inputs)
		if err != nil {
			return nil, err
		}
		all = append(all, time.Since(start))
		if i < 20 {
			err := onOneCore(func() error {
				start = time.Now()
				_, err := alone.Run(ctx, keys, inputs)
				one = append(one, time.Since(start))
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		reply := fhe.MarshalReplies(s, fhe.ID{}, replies)
		start = time.Now()
		out, err := key.Decrypt(s, fhe.ID{}, reply)
		if err != nil {
			return nil, err
		}
		_, scores, err := g.Pipeline.Decode(out)
		if err != nil {
			return nil, err
		}
		own = append(own, encryption+time.Since(start))
		f.compare(templates, query, scores, want)
	}
	f.oneCore, f.allCores, f.client = median(one), median(all), median(own)
	return f, nil
}

// compare counts a query whose template is known.
func (f *matchFigures) compare(templates [][]float64, query, scores []float64, want int) {
	length := 0.0
	for _, x := range query {
		length += x * x
	}
	clear := make([]float64, len(templates))
	for i, t := range templates {
		for k, x := range t {
			clear[i] += x * query[k] / math.Sqrt(length)
		}
		f.largest = max(f.largest, math.Abs(scores[i]-clear[i]))
	}
	best, found := matching.Best(clear, 1)[0].Template, matching.Best(scores, 1)[0].Template
	for count, yes := range map[*int]bool{&f.clear: best == want, &f.encrypted: found == want, &f.same: best == found} {
		if yes {
			*count++
		}
	}
}

func unitVector(r *rand.Rand, dimensions int) []float64 {
	v, sum := make([]float64, dimensions), 0.0
	for i := range v {
		v[i] = r.NormFloat64()
		sum += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(sum)
	}
	return v
}
