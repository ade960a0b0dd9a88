package xgboost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// number is a single-precision number: of JSON, or NaN or Infinity in quotes.
type number float32

func (n *number) UnmarshalJSON(data []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(data), `"`), 32)
	if err != nil && !math.IsInf(v, 0) {
		return fmt.Errorf("%q is not a number", short(string(data)))
	}
	*n = number(v)
	return nil
}

// integer is a whole number, also in quotes, or a truth value, which versions wrote in its place.
type integer int32

func (n *integer) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	switch text {
	case "true":
		*n = 1
		return nil
	case "false", "null", "":
		*n = 0
		return nil
	}
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		f, ferr := strconv.ParseFloat(text, 64) // 1E0
		if v = int64(f); ferr != nil || !(math.Abs(f) <= math.MaxInt32) || float64(v) != f {
			return fmt.Errorf("%q is not a whole number", short(text))
		}
	}
	*n = integer(v)
	return nil
}

// vector is a number in quotes or, since version 3.1, several in brackets in quotes.
type vector []float64

func (v *vector) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"[] `)
	*v = nil
	for word := range strings.SplitSeq(text, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(word), 32)
		if err != nil {
			return fmt.Errorf("%q is not a number", short(word))
		}
		*v = append(*v, x)
	}
	return nil
}

// quoteNonNumbers puts NaN and Infinity, which XGBoost writes and JSON does not know, in quotes.
func quoteNonNumbers(data []byte) []byte {
	if !bytes.Contains(data, []byte("NaN")) && !bytes.Contains(data, []byte("Infinity")) {
		return data
	}
	var out bytes.Buffer
	inside := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case inside && c == '\\' && i+1 < len(data):
			out.WriteByte(c)
			i++
			c = data[i]
		case c == '"':
			inside = !inside
		case !inside:
			if word := nonNumber(data[i:]); word != "" {
				out.WriteString(strconv.Quote(word))
				i += len(word) - 1
				continue
			}
		}
		out.WriteByte(c)
	}
	return out.Bytes()
}

func nonNumber(data []byte) string {
	for _, word := range []string{"NaN", "Infinity", "-Infinity", "-NaN"} {
		if bytes.HasPrefix(data, []byte(word)) {
			return word
		}
	}
	return ""
}

// jsonString writes text as JSON does.
func jsonString(out *bytes.Buffer, text []byte) {
	quoted, _ := json.Marshal(string(text)) // text always has a form
	out.Write(quoted)
}
