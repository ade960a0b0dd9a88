package train

import (
	"math"
	"math/rand/v2"
)

// Augmentation varies a raw training sample.
type Augmentation interface {
	// apply writes a variation of in, of the given shape, to out.
	apply(draw *rand.Rand, out, in []float64, shape []int)
}

// Affine moves, turns, scales and slants images about their centre by random amounts, uniform within each bound.
// Values between pixels are interpolated bilinearly; what comes from outside is 0.
type Affine struct {
	// Shift is in pixels, along each axis.
	Shift float64
	// Rotate is in degrees.
	Rotate float64
	// Zoom 0.1 means factors from 0.9 to 1.1, for each axis.
	Zoom float64
	// Shear is the sideways movement of a row per row from the centre.
	Shear float64
	// Keep is the share of samples that stay as they are. Interpolation blurs: a network that never sees a sharp image
	// while training does worse on sharp images.
	Keep float64
}

func (a Affine) apply(draw *rand.Rand, out, in []float64, shape []int) {
	if draw.Float64() < a.Keep {
		copy(out, in)
		return
	}
	uniform := func(bound float64) float64 { return bound * (2*draw.Float64() - 1) }
	dy, dx := uniform(a.Shift), uniform(a.Shift)
	sin, cos := math.Sincos(uniform(a.Rotate) * math.Pi / 180)
	zy, zx := 1+uniform(a.Zoom), 1+uniform(a.Zoom)
	shear := uniform(a.Shear)
	channels, height, width := shape[0], shape[1], shape[2]
	cy, cx := float64(height-1)/2, float64(width-1)/2
	for y := range height {
		for x := range width {
			// The pixel of the input that comes to (y, x).
			u, v := float64(y)-cy, float64(x)-cx
			u, v = cos*u-sin*v, sin*u+cos*v
			v += shear * u
			sy, sx := zy*u+cy+dy, zx*v+cx+dx
			for c := range channels {
				plane := in[c*height*width : (c+1)*height*width]
				out[(c*height+y)*width+x] = bilinear(plane, height, width, sy, sx)
			}
		}
	}
}

// bilinear returns the value of an image at a place between its pixels.
func bilinear(image []float64, height, width int, y, x float64) float64 {
	y0, x0 := math.Floor(y), math.Floor(x)
	fy, fx := y-y0, x-x0
	pixel := func(i, j int) float64 {
		if i < 0 || j < 0 || i >= height || j >= width {
			return 0
		}
		return image[i*width+j]
	}
	i, j := int(y0), int(x0)
	return (1-fy)*((1-fx)*pixel(i, j)+fx*pixel(i, j+1)) + fy*((1-fx)*pixel(i+1, j)+fx*pixel(i+1, j+1))
}
