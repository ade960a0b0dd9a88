// Package kernel does the arithmetic on residue vectors that every encrypted operation consists of: number-theoretic
// transforms, sums of products, element-wise operations, base conversion and automorphisms.
//
//	m, err := kernel.NewModulus(q, logN, conjugateInvariant)
//	m.Forward(x, x)
//	m.InnerProduct2(c0, c1, keysB, keysA, digits)
//
// A vector holds residues in [0, q), never in Montgomery form; every function takes and leaves such values, but for
// FinishForward. Transforms, their order and automorphisms equal those of Lattigo's ring package bit for bit. Element-wise
// functions work on len(dst) values, so a caller may hand them a part of a vector at a time; transforms and permutations on
// the ring degree, but that a forward transform can be begun as a whole and be finished in parts, each where it is used.
// Nothing allocates, and everything may be used from several goroutines on different destinations. A destination may be
// one of the sources, unless said otherwise; partly overlapping vectors give wrong results.
//
// On amd64, primes below 2^50 are served by assembly: all of it with AVX-512 IFMA; with AVX2 and fused multiply-add alone,
// on integers in double precision, transforms, products, sums of products, lifting and base conversion. What is left, other
// primes, other machines and builds with the tag purego are served by plain Go, with the same results. With IFMA, primes
// below 2^45, 2^47, 2^48 and 2^49 need fewer reductions than larger ones: a forward transform of a prime between 2^49 and
// 2^50 takes about a third longer than one of 46 bits, and lazy ones reduce nothing below 2^45. The assembly is generated: change _asm and run "go generate" in this
// folder; TestGeneratedAssembly demands that both agree.
//
// Dangers: values are not checked to be below q, and larger ones give wrong results silently (Reduce first). Functions
// panic, as an index would, on a source that is too short and on a scalar that is not below q.
package kernel
