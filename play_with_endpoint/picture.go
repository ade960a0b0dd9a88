package main

import (
	"fmt"
	"strings"

	"cipherpoint/model/dataset"
)

const (
	pictureColumns = 78 // of a terminal
	maxPictures    = 4
	maxPixels      = 16 // of a side
	gap            = 3  // columns between pictures
)

var shades = []rune(" ░▒▓█")

// pictures draws the first samples of a set of images side by side, with a caption under each; nothing for other sets.
func pictures(set *dataset.Set, captions []string) string {
	if len(set.Shape) != 3 || set.Shape[0] != 1 || set.Len() == 0 {
		return ""
	}
	height, width := set.Shape[1], set.Shape[2]
	step := (max(height, width) + maxPixels - 1) / maxPixels
	columns := 2 * ((width + step - 1) / step) // characters are twice as high as wide
	n := min(maxPictures, set.Len(), len(captions), (pictureColumns+gap)/(columns+gap))
	var b strings.Builder
	for y := 0; y < height; y += step {
		var line strings.Builder
		for _, image := range set.X[:n] {
			top := 0.0
			for _, v := range image {
				top = max(top, v)
			}
			for x := 0; x < width; x += step {
				ink, pixels := 0.0, 0
				for yy := y; yy < min(y+step, height); yy++ {
					for xx := x; xx < min(x+step, width); xx++ {
						ink += max(0, image[yy*width+xx])
						pixels++
					}
				}
				shade := 0
				if top > 0 {
					shade = int(ink/float64(pixels)/top*float64(len(shades)-1) + 0.5)
				}
				line.WriteString(strings.Repeat(string(shades[shade]), 2))
			}
			line.WriteString(strings.Repeat(" ", gap))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	var line strings.Builder
	for _, caption := range captions[:n] {
		fmt.Fprintf(&line, "%-*s", columns+gap, caption)
	}
	return b.String() + strings.TrimRight(line.String(), " ")
}
