package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

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
	noise := flags.Float64("noise", 2, "length of what is added to a template, of length one, to make a query")
	kind := flags.String("gallery", "both", "clear: the publisher's, in clear at the endpoint; enrolled: the user's, encrypted like the queries; both")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *dimensions < 1 || *dimensions > matching.MaxDimensions || *queries < 1 {
		return errors.New("dimensions or queries out of range")
	}
	kinds := []string{*kind}
	if *kind == "both" {
		kinds = []string{"clear", "enrolled"}
	}
	fmt.Fprintln(stdout, describeMachine())
	fmt.Fprintf(stdout, `
One encrypted query against galleries of random unit vectors of %d dimensions: in clear at the endpoint, or enrolled by the
user encrypted. A query is a template with noise %.1f times as long. Recall@k is how often that template is among the k best
of the clear scores, and of the encrypted ones. Bytes are on the wire, enrolled ones too; memory is the endpoint's, for
templates.

`, *dimensions, *noise)
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "templates\tgallery\tper template\tmemory\tkeys\trequest\treply\tone core\tall cores\tclient\trecall@1: clear\tencrypted\t@10: clear\tencrypted\tlargest error\t")
	for _, text := range strings.Split(*sizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 {
			return fmt.Errorf("no size of a gallery: %q", text)
		}
		for _, kind := range kinds {
			show := progress.Steps(stderr)
			f, err := match(ctx, kind, size, *dimensions, *queries, *noise, show.Step)
			show.Done()
			if err != nil {
				return err
			}
			share := func(n int) string { return fmt.Sprintf("%.3f", float64(n)/float64(*queries)) }
			each := "-"
			if f.enrolled > 0 {
				each = format.Bytes(float64(f.enrolled) / float64(size))
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f ms\t%.1f ms\t%.1f ms\t%s\t%s\t%s\t%s\t%.4f\t\n", format.Integer(int64(size)), kind, each,
				format.Bytes(float64(f.memory)), format.Bytes(float64(f.keys)), format.Bytes(float64(f.request)), format.Bytes(float64(f.reply)),
				inMS(f.oneCore), inMS(f.allCores), inMS(f.client), share(f.clear[0]), share(f.encrypted[0]), share(f.clear[1]), share(f.encrypted[1]), f.largest)
		}
	}
	return t.Flush()
}

// matchFigures are those of one gallery.
type matchFigures struct {
	enrolled, keys, request, reply, memory int64
	oneCore, allCores, client              time.Duration // medians; client is encryption and decryption
	clear, encrypted                       [2]int        // queries whose template was the best, or among the ten best
	largest                                float64       // error of a score
}

func match(ctx context.Context, kind string, size, dimensions, queries int, noise float64, progress func(string, int, int)) (*matchFigures, error) {
	if need, free := matchMemory(size, dimensions), freeMemory(); free > 0 && need > free {
		return nil, fmt.Errorf("%d templates of %d dimensions, with both ends here, take %s of memory: %s are free", size, dimensions,
			format.Bytes(float64(need)), format.Bytes(float64(free)))
	}
	r := rand.New(rand.NewPCG(1, uint64(size)))
	templates := make([][]float64, size)
	for i := range templates {
		templates[i] = matching.RandomUnit(r, dimensions)
	}
	f := new(matchFigures)
	var g gallery
	var err error
	switch kind {
	case "clear":
		progress("compiling the gallery", 0, 0)
		g, err = newClearGallery(ctx, templates, f)
	case "enrolled":
		progress("enrolling templates", 0, 0)
		g, err = newEnrolledGallery(ctx, templates, f)
	default:
		err = fmt.Errorf("no kind of gallery: %q", kind)
	}
	if err != nil {
		return nil, err
	}
	var one, all, own []time.Duration
	for i := range queries {
		progress("queries", i, queries)
		want := r.IntN(size)
		query := matching.RandomUnit(r, dimensions)
		for k := range query {
			query[k] = templates[want][k] + noise*query[k]
		}
		start := time.Now()
		request, err := g.encrypt(query)
		if err != nil {
			return nil, err
		}
		encryption := time.Since(start)
		start = time.Now()
		reply, err := g.run(ctx, request, false)
		if err != nil {
			return nil, err
		}
		all = append(all, time.Since(start))
		if i < 20 {
			err := onOneCore(func() error {
				start = time.Now()
				_, err := g.run(ctx, request, true)
				one = append(one, time.Since(start))
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		start = time.Now()
		scores, err := g.decrypt(reply)
		if err != nil {
			return nil, err
		}
		found := matching.Best(scores, 10)
		own = append(own, encryption+time.Since(start))
		f.request, f.reply = int64(len(request)), int64(len(reply))
		f.compare(templates, query, scores, found, want)
	}
	f.oneCore, f.allCores, f.client = median(one), median(all), median(own)
	return f, nil
}

// matchMemory is what a benchmark takes at most: in bytes a value, 8 for templates, 8 for weights or 5 for a file, 5 or 11
// encoded.
func matchMemory(size, dimensions int) int64 {
	return 24*int64(size)*int64(dimensions) + maxEnrolled
}

// freeMemory is what the machine has for new processes, 0 where it does not say.
func freeMemory() int64 {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(info)) {
		if rest, found := strings.CutPrefix(line, "MemAvailable:"); found {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// compare counts a query whose template is known.
func (f *matchFigures) compare(templates [][]float64, query, scores []float64, found []matching.Match, want int) {
	length := 0.0
	for _, x := range query {
		length += x * x
	}
	length = math.Sqrt(length)
	clear := make([]float64, len(templates))
	var next atomic.Int64
	var workers sync.WaitGroup
	const piece = 4096
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for at := int(next.Add(piece)) - piece; at < len(templates); at = int(next.Add(piece)) - piece {
				for i := at; i < min(at+piece, len(templates)); i++ {
					sum := 0.0
					for k, x := range templates[i] {
						sum += x * query[k]
					}
					clear[i] = sum / length
				}
			}
		})
	}
	workers.Wait()
	for i, s := range scores {
		f.largest = max(f.largest, math.Abs(s-clear[i]))
	}
	for counts, list := range map[*[2]int][]matching.Match{&f.clear: matching.Best(clear, 10), &f.encrypted: found} {
		at := slices.IndexFunc(list, func(m matching.Match) bool { return m.Template == want })
		if at == 0 {
			counts[0]++
		}
		if at >= 0 {
			counts[1]++
		}
	}
}
