package rows

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sbinet/npyio/npy"
	"github.com/x448/float16"

	"cipherpoint/pipeline"
)

// array is a file of NumPy, of which the library reads the header.
type array struct {
	shape   []int
	kind    byte // of the elements: f, i, u, b, U for text, S for bytes
	width   int  // bytes of an element
	order   binary.ByteOrder
	columns bool // stored with the first index first
	data    []byte
}

func isNumPy(data []byte) bool { return bytes.HasPrefix(data, []byte("\x93NUMPY")) }

func readArray(data []byte) (*array, error) {
	r, err := npy.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	header := r.Header.Descr
	if len(header.Shape) == 0 {
		return nil, errors.New("array has no rows")
	}
	a := &array{shape: header.Shape, order: binary.LittleEndian, columns: header.Fortran && len(header.Shape) > 1, data: payload(data)}
	if strings.HasPrefix(header.Type, ">") {
		a.order = binary.BigEndian
	}
	kind := strings.TrimLeft(header.Type, "<>|=")
	if len(kind) < 2 || !strings.ContainsRune("fiubUS", rune(kind[0])) {
		return nil, fmt.Errorf("array of type %q: save numbers, with astype(\"float32\")", header.Type)
	}
	a.kind = kind[0]
	if a.width, err = strconv.Atoi(kind[1:]); err != nil || a.width < 1 || a.width > len(data) {
		return nil, fmt.Errorf("array of type %q", header.Type)
	}
	if a.kind == 'U' {
		a.width *= 4
	}
	size := 1
	for _, d := range a.shape {
		if d < 1 || size > len(data)/d {
			return nil, fmt.Errorf("shape %v does not fit its %d bytes", a.shape, len(data))
		}
		size *= d
	}
	if len(a.data)/a.width != size || len(a.data)%a.width != 0 {
		return nil, fmt.Errorf("shape %v of %q does not fit its %d bytes", a.shape, header.Type, len(a.data))
	}
	return a, nil
}

// payload is what comes after the header, whose length stands in two bytes in version 1 and in four since.
func payload(data []byte) []byte {
	if data[6] == 1 {
		return data[10+int(binary.LittleEndian.Uint16(data[8:])):]
	}
	return data[12+int(binary.LittleEndian.Uint32(data[8:])):]
}

// rows calls f with the bytes of each element, row by row.
func (a *array) rows(f func(row int, element []byte) error) error {
	index := make([]int, len(a.shape))
	for at := range len(a.data) / a.width {
		stored := at
		if a.columns {
			stored = 0
			for axis := len(index) - 1; axis >= 0; axis-- {
				stored = stored*a.shape[axis] + index[axis]
			}
		}
		if err := f(index[0], a.data[stored*a.width:][:a.width]); err != nil {
			return err
		}
		for axis := len(index) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < a.shape[axis] || axis == 0 {
				break
			}
			index[axis] = 0
		}
	}
	return nil
}

// numbers are the rows, flattened sample by sample.
func (a *array) numbers() ([][]float64, error) {
	x := make([][]float64, a.shape[0])
	return x, a.rows(func(row int, element []byte) error {
		v, err := a.number(element)
		x[row] = append(x[row], v)
		return err
	})
}

func (a *array) number(b []byte) (float64, error) {
	switch fmt.Sprintf("%c%d", a.kind, a.width) {
	case "f8":
		return math.Float64frombits(a.order.Uint64(b)), nil
	case "f4":
		return float64(math.Float32frombits(a.order.Uint32(b))), nil
	case "f2":
		return float64(float16.Frombits(a.order.Uint16(b)).Float32()), nil
	case "i8":
		return float64(int64(a.order.Uint64(b))), nil
	case "i4":
		return float64(int32(a.order.Uint32(b))), nil
	case "i2":
		return float64(int16(a.order.Uint16(b))), nil
	case "i1":
		return float64(int8(b[0])), nil
	case "u8":
		return float64(a.order.Uint64(b)), nil
	case "u4":
		return float64(a.order.Uint32(b)), nil
	case "u2":
		return float64(a.order.Uint16(b)), nil
	case "u1", "b1":
		return float64(b[0]), nil
	}
	return 0, fmt.Errorf("array of type %c%d: save numbers, with astype(\"float32\")", a.kind, a.width)
}

// labels are one for each row: text, a number, or of several numbers the index of the largest.
func (a *array) labels() ([]string, error) {
	labels := make([]string, a.shape[0])
	if a.kind == 'U' || a.kind == 'S' {
		return labels, a.rows(func(row int, element []byte) error {
			labels[row] = a.text(element)
			return nil
		})
	}
	x, err := a.numbers()
	for i, row := range x {
		label := row[0]
		if len(row) > 1 {
			label = float64(pipeline.Label(row))
		}
		labels[i] = strconv.FormatFloat(label, 'f', -1, 64)
	}
	return labels, err
}

// text is bytes, or characters of four, up to the zeros behind them.
func (a *array) text(element []byte) string {
	if a.kind == 'S' {
		return string(bytes.TrimRight(element, "\x00"))
	}
	var s strings.Builder
	for i := 0; i+4 <= len(element); i += 4 {
		if c := a.order.Uint32(element[i:]); c != 0 {
			s.WriteRune(rune(c))
		}
	}
	return s.String()
}
