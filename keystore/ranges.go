package keystore

// Range is the bytes from Begin up to, not including, End.
type Range struct {
	Begin, End int64
}

// Ranges are ascending and separate: each one begins after the end of the one before it, with a gap between.
type Ranges []Range

// Add returns the union with x, which is not empty. The receiver is unchanged.
func (r Ranges) Add(x Range) Ranges {
	sum := make(Ranges, 0, len(r)+1)
	i := 0
	for ; i < len(r) && r[i].End < x.Begin; i++ {
		sum = append(sum, r[i])
	}
	for ; i < len(r) && r[i].Begin <= x.End; i++ {
		x = Range{min(x.Begin, r[i].Begin), max(x.End, r[i].End)}
	}
	sum = append(sum, x)
	return append(sum, r[i:]...)
}

// Within returns the parts of the ranges that lie in x.
func (r Ranges) Within(x Range) Ranges {
	var parts Ranges
	for _, y := range r {
		if begin, end := max(x.Begin, y.Begin), min(x.End, y.End); begin < end {
			parts = append(parts, Range{begin, end})
		}
	}
	return parts
}

// Missing returns the gaps between 0 and size: what a client that was cut off has still to send.
func (r Ranges) Missing(size int64) Ranges {
	var gaps Ranges
	begin := int64(0)
	for _, y := range r {
		if begin < y.Begin {
			gaps = append(gaps, Range{begin, y.Begin})
		}
		begin = y.End
	}
	if begin < size {
		gaps = append(gaps, Range{begin, size})
	}
	return gaps
}

// Len returns the number of bytes in the ranges.
func (r Ranges) Len() int64 {
	n := int64(0)
	for _, y := range r {
		n += y.End - y.Begin
	}
	return n
}
