//go:build amd64 && !purego

package kernel

import "math"

// doubles holds what the code on integers in double precision needs: AVX2 with fused multiply-add, for machines without
// IFMA. Factors are centred, below q/2 in size, and followed by their quotients by q.
type doubles struct {
	constants        [4][4]float64
	fold, unfold     [2]float64
	passes           []uint8   // log2 of how many parts each pass between distant parts joins
	forward, inverse []float64 // N twiddle factors, then their quotients; nil for small rings
}

// doublesLastStages is how many stages run inside blocks of 16 values.
const doublesLastStages = 4

func (d *doubles) transforms() bool { return d != nil && d.forward != nil }

func (m *Modulus) accelerateDoubles() {
	if m.q>>maxVectorBits != 0 {
		return
	}
	d := &doubles{}
	for i, c := range []float64{float64(m.q), 1 / float64(m.q), 1.5 * (1 << 52), 1 << 52} {
		d.constants[i] = [4]float64{c, c, c, c}
	}
	d.fold = m.centred(subOnce(0, m.fold.value, m.q))
	d.unfold = m.centred(subOnce(0, m.unfold.value, m.q))
	if m.logN >= doublesLastStages+2 {
		for rest := m.logN - doublesLastStages; rest > 0; {
			log := 3
			if rest == 2 || rest == 4 {
				log = 2
			}
			d.passes = append(d.passes, uint8(log))
			rest -= log
		}
		d.forward = m.doublesTable(m.forward.value)
		d.inverse = m.doublesTable(m.inverse.value)
		// The last pass of the inverse scales: its last stage has one root.
		n := m.N()
		for i, c := range []uint64{m.scale.value, m.Product(m.inverse.value[1], m.scale.value)} {
			factor := m.centred(c)
			d.inverse[i], d.inverse[n+i] = factor[0], factor[1]
		}
	}
	m.doubles = d
}

// centred returns a factor below q/2 in size and its quotient by q.
func (m *Modulus) centred(c uint64) [2]float64 {
	value := float64(c)
	if c > m.q/2 {
		value = -float64(m.q - c)
	}
	return [2]float64{value, value / float64(m.q)}
}

// doublesTable has the factors of neighbours, the last stage, in the order in which four lanes read them: of eight, those
// with even index first.
func (m *Modulus) doublesTable(factors []uint64) []float64 {
	n := len(factors)
	table := make([]float64, 2*n)
	for i, c := range factors {
		if i >= n/2 {
			i = i&^7 | i&1<<2 | i>>1&3
		}
		factor := m.centred(c)
		table[i], table[n+i] = factor[0], factor[1]
	}
	return table
}

// Between the passes dst holds doubles. All stay below 4q, hence 2^52, in size: a pass of three stages starts with its
// upper inputs just above q/2 and grows by less than 3q/4 in each; the first starts below q, after folding at 7q/4 with
// its upper inputs reduced.
func (m *Modulus) forwardDoublesFirst(dst, src []uint64) {
	d, c, size := m.doubles, &m.doubles.constants, uint64(len(dst))
	table, log := &d.forward[0], d.passes[0]
	part := len(dst) >> log
	switch {
	case m.conjugateInvariant:
		m.foldEdges(dst, src, m.fold)
		foldForwardDoubles(&dst[0], &src[0], size, &d.fold, c)
		toDoubles(dst[:8])
		toDoubles(dst[size/2 : size/2+1])
		toDoubles(dst[size-7:])
		m.forwardDoublesPass(log, dst, 1, 1)
	case log == 3:
		forwardDoubles8First(&dst[0], &src[0], uint64(part), 1, 1, table, size, c)
	default:
		forwardDoubles4First(&dst[0], &src[0], uint64(part), 1, 1, table, size, c)
	}
}

// forwardDoublesRest runs all passes after the first on a part.
func (m *Modulus) forwardDoublesRest(dst []uint64, part int) {
	d, log := m.doubles, m.doubles.passes[0]
	size, count := len(dst)>>log, 1<<log/Parts
	for i := part * count; i < (part+1)*count; i++ {
		block, root, blocks := dst[i*size:(i+1)*size], uint64(1<<log+i), uint64(1)
		for _, log := range d.passes[1:] {
			m.forwardDoublesPass(log, block, blocks, root)
			blocks, root = blocks<<log, root<<log
		}
		forwardDoublesLast(&block[0], blocks, root, &d.forward[0], uint64(len(dst)), &d.constants)
	}
}

func toDoubles(v []uint64) {
	for i, x := range v {
		v[i] = math.Float64bits(float64(x))
	}
}

func (m *Modulus) forwardDoublesPass(log uint8, dst []uint64, blocks, root uint64) {
	part, d := uint64(len(dst))/blocks>>log, m.doubles
	run := forwardDoubles8
	if log == 2 {
		run = forwardDoubles4
	}
	run(&dst[0], &dst[0], part, blocks, root, &d.forward[0], uint64(1)<<m.logN, &d.constants)
}

// Between the passes values are below 3q/4 in size: sums of four are below 3q (in the first pass, of words, 4q), and are
// reduced before there are sums of eight.
func (m *Modulus) inverseDoubles(dst, src []uint64) {
	d, c, size := m.doubles, &m.doubles.constants, uint64(len(dst))
	table := &d.inverse[0]
	part := len(dst) >> d.passes[0]
	for i := range 1 << d.passes[0] {
		block, source := dst[i*part:(i+1)*part], src[i*part:(i+1)*part]
		root, blocks := uint64(1<<d.passes[0]+i), uint64(1)
		for _, log := range d.passes[1:] {
			blocks, root = blocks<<log, root<<log
		}
		inverseDoublesFirst(&block[0], &source[0], blocks, root, table, size, c)
		for p := len(d.passes) - 1; p > 0; p-- {
			log := d.passes[p]
			blocks, root = blocks>>log, root>>log
			run := inverseDoubles8
			if log == 2 {
				run = inverseDoubles4
			}
			run(&block[0], &block[0], uint64(part)/blocks>>log, blocks, root, table, size, c)
		}
	}
	if d.passes[0] == 3 {
		inverseDoubles8Last(&dst[0], &dst[0], uint64(part), 1, 1, table, size, c)
	} else {
		inverseDoubles4Last(&dst[0], &dst[0], uint64(part), 1, 1, table, size, c)
	}
	if m.conjugateInvariant {
		m.foldEdges(dst, dst, m.unfold)
		dst[0] = reduceOnce(2*dst[0], m.q)
		foldInverseDoubles(&dst[0], &dst[0], size, &d.unfold, c)
	}
}
