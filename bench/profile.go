package main

import (
	"bytes"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"cipherpoint/fhe/kernel"
)

// part is what processor time is spent on.
type part string

const (
	transforms part = "NTT"
	products   part = "products"   // sums of products: by diagonals, by keys
	extensions part = "extensions" // base conversions
	moves      part = "moves"      // automorphisms, sums, products by constants
	others     part = "rest"       // everything outside of the kernels: waiting, sharing out, memory
)

// parts are in the order in which they are printed.
var parts = []part{transforms, products, extensions, moves, others}

// functions says which part a function belongs to; those of package kernel that are not named are moves.
var functions = map[string]part{
	named((*kernel.Modulus).Forward): transforms, named((*kernel.Modulus).Inverse): transforms,
	named((*kernel.Modulus).BeginForward): transforms, named((*kernel.Modulus).FinishForward): transforms,
	named(kernel.Sum): products, named((*kernel.Modulus).KeySum): products,
	named((*kernel.Modulus).InnerProduct2): products, named((*kernel.Modulus).Packed2InnerProduct): products,
	named((*kernel.Modulus).Lift): extensions, named((*kernel.Extension).Begin): extensions,
	named((*kernel.Extension).BeginForward): extensions, // with the first pass of the transform that follows
}

// named returns a function's name as it stands in functions. A list of names alone would outlive what it names.
func named(function any) string {
	return path.Base(runtime.FuncForPC(reflect.ValueOf(function).Pointer()).Name())
}

// profileOf runs f for about so long under the processor's sampling profiler, which looks a hundred times a second, and
// returns the share of each part.
func profileOf(f func() error, length time.Duration) (map[part]float64, error) {
	var samples bytes.Buffer
	if err := pprof.StartCPUProfile(&samples); err != nil {
		return nil, err
	}
	var err error
	for start := time.Now(); err == nil && time.Since(start) < length; {
		err = f()
	}
	pprof.StopCPUProfile()
	if err != nil {
		return nil, err
	}
	parsed, err := profile.Parse(&samples)
	if err != nil {
		return nil, fmt.Errorf("reading the profile: %w", err)
	}
	return sharesOf(parsed), nil
}

// sharesOf divides a profile's samples into parts.
func sharesOf(p *profile.Profile) map[part]float64 {
	shares := map[part]float64{}
	total := int64(0)
	for _, sample := range p.Sample {
		count := sample.Value[0]
		shares[partOf(sample)] += float64(count)
		total += count
	}
	for part := range shares {
		shares[part] /= float64(total)
	}
	return shares
}

// partOf is decided by the outermost function on the stack that belongs to a part: those inside are its steps.
func partOf(sample *profile.Sample) part {
	for i := len(sample.Location) - 1; i >= 0; i-- {
		lines := sample.Location[i].Line
		for k := len(lines) - 1; k >= 0; k-- { // inlined functions come before their callers
			if lines[k].Function == nil {
				continue
			}
			name := path.Base(lines[k].Function.Name)
			if known, ok := functions[name]; ok {
				return known
			}
			if strings.HasPrefix(name, "kernel.") {
				return moves
			}
		}
	}
	return others
}
