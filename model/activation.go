package model

import (
	"fmt"
	"math"
)

// Function names the function of an Activation.
type Function string

// The functions with their parameters alpha (a) and beta (b); those that name none take none.
const (
	ReLU            Function = "relu"             // max(x, 0)
	LeakyReLU       Function = "leaky_relu"       // x if x > 0, else a·x
	ThresholdedReLU Function = "thresholded_relu" // x if x > a, else 0
	ELU             Function = "elu"              // x if x > 0, else a·(e^x − 1)
	SELU            Function = "selu"             // b·ELU(x; a)
	CELU            Function = "celu"             // x if x > 0, else a·(e^(x/a) − 1)
	GELU            Function = "gelu"             // x·Φ(x)
	GELUTanh        Function = "gelu_tanh"        // x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
	SiLU            Function = "silu"             // x·sigmoid(x)
	Mish            Function = "mish"             // x·tanh(softplus(x))
	Sigmoid         Function = "sigmoid"          // 1 / (1 + e^−x), the inverse of the logit link
	HardSigmoid     Function = "hard_sigmoid"     // min(max(a·x + b, 0), 1)
	HardSwish       Function = "hard_swish"       // x·min(max(x/6 + 1/2, 0), 1)
	Tanh            Function = "tanh"
	Softplus        Function = "softplus"      // log(1 + e^x)
	Softsign        Function = "softsign"      // x / (1 + |x|)
	Exp             Function = "exp"           // the inverse of the log link
	Log             Function = "log"           // natural
	Erf             Function = "erf"           // the error function
	NormalCDF       Function = "normal_cdf"    // Φ(x), the inverse of the probit link
	Probit          Function = "probit"        // Φ⁻¹(x)
	CLogLog         Function = "cloglog"       // 1 − e^(−e^x), the inverse of the complementary log-log link
	Abs             Function = "abs"           // |x|
	Sqrt            Function = "sqrt"          // √x
	Power           Function = "power"         // x^a
	SignedSquare    Function = "signed_square" // x·|x|
	Reciprocal      Function = "reciprocal"    // 1/x
	Sign            Function = "sign"          // −1, 0 or 1
	Sin             Function = "sin"
	Cos             Function = "cos"
	Atan            Function = "atan"
	Floor           Function = "floor"
	Ceil            Function = "ceil"
	Round           Function = "round"    // to the nearest integer, halves to even
	Truncate        Function = "truncate" // towards 0
	Float32         Function = "float32"  // to the nearest single-precision number, as systems that store float32 see x
	IsNaN           Function = "is_nan"   // 1 for a missing value, else 0
)

// Activation applies a function to every element.
type Activation struct {
	Function Function `json:"function"`
	Alpha    float64  `json:"alpha,omitempty"`
	Beta     float64  `json:"beta,omitempty"`
}

func (*Activation) Kind() string { return "Activation" }

func (a *Activation) Infer(in []Shape) (Shape, error) {
	f, ok := functions[a.Function]
	if !ok {
		return nil, fmt.Errorf("unknown function %q", a.Function)
	}
	if f.parameters < 2 && a.Beta != 0 || f.parameters < 1 && a.Alpha != 0 {
		return nil, fmt.Errorf("%s takes %d parameters", a.Function, f.parameters)
	}
	if a.Function == CELU && a.Alpha == 0 {
		return nil, fmt.Errorf("%s needs an alpha other than 0", a.Function)
	}
	return one(in)
}

func (a *Activation) Eval(in []Tensor) (Tensor, error) {
	f := functions[a.Function].at // Eval fails on an unknown function before it is called
	return evalPointwise(a, in, func(x float64) float64 { return f(x, a.Alpha, a.Beta) })
}

// At is NaN for an unknown function, which Infer refuses.
func (a *Activation) At(x float64) float64 {
	f, ok := functions[a.Function]
	if !ok {
		return math.NaN()
	}
	return f.at(x, a.Alpha, a.Beta)
}

func (*Activation) Polynomial() ([]float64, bool) { return nil, false }

type function struct {
	parameters int
	at         func(x, a, b float64) float64
}

// plain makes a function without parameters.
func plain(f func(float64) float64) function {
	return function{0, func(x, _, _ float64) float64 { return f(x) }}
}

var functions = map[Function]function{
	ReLU:            plain(func(x float64) float64 { return max(x, 0) }),
	LeakyReLU:       {1, func(x, a, _ float64) float64 { return leaky(x, a) }},
	ThresholdedReLU: {1, thresholded},
	ELU:             {1, func(x, a, _ float64) float64 { return elu(x, a, 1) }},
	SELU:            {2, func(x, a, b float64) float64 { return b * elu(x, a, 1) }},
	CELU:            {1, func(x, a, _ float64) float64 { return elu(x, a, a) }},
	GELU:            plain(func(x float64) float64 { return x * normalCDF(x) }),
	GELUTanh:        plain(geluTanh),
	SiLU:            plain(func(x float64) float64 { return x * sigmoid(x) }),
	Mish:            plain(func(x float64) float64 { return x * math.Tanh(softplus(x)) }),
	Sigmoid:         plain(sigmoid),
	HardSigmoid:     {2, func(x, a, b float64) float64 { return unit(a*x + b) }},
	HardSwish:       plain(func(x float64) float64 { return x * unit(x/6+0.5) }),
	Tanh:            plain(math.Tanh),
	Softplus:        plain(softplus),
	Softsign:        plain(func(x float64) float64 { return x / (1 + math.Abs(x)) }),
	Exp:             plain(math.Exp),
	Log:             plain(math.Log),
	Erf:             plain(math.Erf),
	NormalCDF:       plain(normalCDF),
	Probit:          plain(func(x float64) float64 { return math.Sqrt2 * math.Erfinv(2*x-1) }),
	CLogLog:         plain(func(x float64) float64 { return -math.Expm1(-math.Exp(x)) }),
	Abs:             plain(math.Abs),
	Sqrt:            plain(math.Sqrt),
	Power:           {1, func(x, a, _ float64) float64 { return math.Pow(x, a) }},
	SignedSquare:    plain(func(x float64) float64 { return x * math.Abs(x) }),
	Reciprocal:      plain(func(x float64) float64 { return 1 / x }),
	Sign:            plain(sign),
	Sin:             plain(math.Sin),
	Cos:             plain(math.Cos),
	Atan:            plain(math.Atan),
	Floor:           plain(math.Floor),
	Ceil:            plain(math.Ceil),
	Round:           plain(math.RoundToEven),
	Truncate:        plain(math.Trunc),
	Float32:         plain(func(x float64) float64 { return float64(float32(x)) }),
	IsNaN:           plain(isNaN),
}

// The comparisons below are written so that NaN stays NaN.

func leaky(x, a float64) float64 {
	if x <= 0 {
		return a * x
	}
	return x
}

func thresholded(x, a, _ float64) float64 {
	if x <= a {
		return 0
	}
	return x
}

func elu(x, a, width float64) float64 {
	if x <= 0 {
		return a * math.Expm1(x/width)
	}
	return x
}

func geluTanh(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// sigmoid takes the exponential of a negative number only, which cannot overflow.
func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// normalCDF is the distribution function Φ of the standard normal law; erfc keeps its lower tail accurate.
func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func unit(x float64) float64 { return min(max(x, 0), 1) }

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	default:
		return x
	}
}

func isNaN(x float64) float64 {
	if math.IsNaN(x) {
		return 1
	}
	return 0
}
