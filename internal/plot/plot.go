// Package plot draws the figures of reports and benchmarks as SVG: no script, no font or picture from elsewhere, text
// that can be selected, a title and a description for those who cannot see it, colours that stay apart for the
// colour-blind, and light and dark dress by the reader's preference.
//
//	figure := plot.Bars(plot.BarChart{ID: "latency", Title: "Latency", ...})
//	figure.Inline()   // for a page that carries Style once
//	figure.Document() // a file of its own, to be shown from a README
//
// The same input gives the same bytes. Values that are not finite, and on a logarithmic axis those that are not
// positive, are left out; so are those beyond 1e100. Every text is escaped.
//
// Danger: a Figure's ID must be unique in its page.
package plot

import (
	"fmt"
	"html"
	"html/template"
	"strconv"
	"strings"

	"cipherpoint/internal/format"
)

// Figure is a finished drawing.
type Figure struct {
	id, title, description string
	width, height          float64
	body                   string
}

// Inline returns the drawing as an element for a page that carries Style.
func (f Figure) Inline() template.HTML {
	return template.HTML(f.element("", "")) // every text in it went through canvas, which escapes
}

// Document returns the drawing as an SVG file.
func (f Figure) Document() []byte {
	return []byte(f.element(` xmlns="http://www.w3.org/2000/svg"`, "<style>"+Style+"</style>"))
}

func (f Figure) element(namespace, style string) string {
	id := escape(f.id)
	return fmt.Sprintf(`<svg%s class="plot" role="img" aria-labelledby="%s-t %s-d" width="%s" height="%s" viewBox="0 0 %s %s">`+
		`<title id="%s-t">%s</title><desc id="%s-d">%s</desc>%s%s</svg>`,
		namespace, id, id, num(f.width), num(f.height), num(f.width), num(f.height),
		id, escape(f.title), id, escape(f.description), style, f.body)
}

// Style is the dress of all figures: colours as custom properties (which a page may use for its own text, so that both
// agree) and the classes that the drawings use. Hues are those of Okabe and Ito, darkened or lightened for contrast.
const Style = `
:root{color-scheme:light dark;
--paper:#fff;--wash:#f5f6f7;--ink:#1b1f24;--soft:#59636e;--rule:#c9ced4;--grid:#e7eaed;
--blue:#0a6ab0;--orange:#c2500a;--green:#08795a;--pink:#a34a86;--on:#fff}
@media (prefers-color-scheme:dark){:root{
--paper:#14171a;--wash:#1c2024;--ink:#e6e9ec;--soft:#9aa5b0;--rule:#3c444c;--grid:#262c32;
--blue:#5cb3f2;--orange:#f2935c;--green:#4cc9a0;--pink:#dc94c8;--on:#0d1013}}
@media print{:root{color-scheme:light;
--paper:#fff;--wash:#f5f6f7;--ink:#000;--soft:#444;--rule:#bbb;--grid:#e3e3e3;
--blue:#0a6ab0;--orange:#c2500a;--green:#08795a;--pink:#a34a86;--on:#fff}}
.plot{display:block;max-width:100%;height:auto;overflow:visible;
font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;
print-color-adjust:exact;-webkit-print-color-adjust:exact}
.plot text{fill:var(--ink)}.plot .soft{fill:var(--soft)}.plot .on{fill:var(--on)}.plot .strong{font-weight:600}
.plot .small{font-size:10.5px}
.plot .grid{stroke:var(--grid);stroke-width:1}.plot .axis{stroke:var(--rule);stroke-width:1}
.plot .blue{fill:var(--blue)}.plot .orange{fill:var(--orange)}.plot .green{fill:var(--green)}.plot .pink{fill:var(--pink)}
.plot .pale{fill:var(--grid)}.plot .wash{fill:var(--wash)}.plot .band{fill:var(--green);fill-opacity:.14}
.plot .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.plot .thin{stroke-width:1}.plot .dash{stroke-dasharray:4 3}.plot .dots{stroke-width:4.5;stroke-opacity:.55;stroke-linecap:round}
.plot .s-ink{stroke:var(--ink)}.plot .s-soft{stroke:var(--soft)}.plot .s-blue{stroke:var(--blue)}
.plot .s-orange{stroke:var(--orange)}.plot .s-green{stroke:var(--green)}.plot .s-pink{stroke:var(--pink)}
.plot .hollow{fill:var(--paper);stroke-width:1.5}
`

// hues are the colours of series, in order.
var hues = []string{"blue", "orange", "green", "pink"}

// escape makes any text fit for XML.
func escape(s string) string { return html.EscapeString(format.Text(s)) }

// canvas collects elements. All text and attribute values that come from a caller pass through text and tip.
type canvas struct {
	b strings.Builder
}

// num writes a coordinate in hundredths of a unit: finer cannot be seen, and rounding hides what floating point does
// differently on other machines.
func num(x float64) string {
	s := strconv.FormatFloat(x, 'f', 2, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}

func (c *canvas) rect(x, y, w, h float64, class, tip string) {
	c.shape(fmt.Sprintf(`<rect x="%s" y="%s" width="%s" height="%s"`, num(x), num(y), num(w), num(h)), "rect", class, tip)
}

// shade is a rectangle of which only a part of the colour shows.
func (c *canvas) shade(x, y, w, h, opacity float64, class, tip string) {
	c.shape(fmt.Sprintf(`<rect x="%s" y="%s" width="%s" height="%s" fill-opacity="%s"`,
		num(x), num(y), num(w), num(h), num(opacity)), "rect", class, tip)
}

func (c *canvas) circle(x, y, r float64, class, tip string) {
	c.shape(fmt.Sprintf(`<circle cx="%s" cy="%s" r="%s"`, num(x), num(y), num(r)), "circle", class, tip)
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	c.shape(fmt.Sprintf(`<line x1="%s" y1="%s" x2="%s" y2="%s"`, num(x1), num(y1), num(x2), num(y2)), "line", class, "")
}

func (c *canvas) path(d, class string) {
	c.shape(`<path d="`+d+`"`, "path", class, "")
}

// shape closes an element that was begun; tip is shown where the pointer rests.
func (c *canvas) shape(begun, name, class, tip string) {
	c.b.WriteString(begun + ` class="` + class + `"`)
	if tip == "" {
		c.b.WriteString("/>")
		return
	}
	c.b.WriteString("><title>" + escape(tip) + "</title></" + name + ">")
}

// anchors of text.
const (
	start  = "start"
	middle = "middle"
	end    = "end"
)

func (c *canvas) text(x, y float64, anchor, class, s string) {
	c.turned(x, y, 0, anchor, class, s, "")
}

// label is a text that is cut to the room it has, with the whole of it as its tip.
func (c *canvas) label(x, y, room float64, anchor, class, s string) {
	if short := fit(s, room); short != s {
		c.turned(x, y, 0, anchor, class, short, s)
		return
	}
	c.text(x, y, anchor, class, s)
}

func (c *canvas) turned(x, y, degrees float64, anchor, class, s, tip string) {
	fmt.Fprintf(&c.b, `<text x="%s" y="%s"`, num(x), num(y))
	if degrees != 0 {
		fmt.Fprintf(&c.b, ` transform="rotate(%s %s %s)"`, num(degrees), num(x), num(y))
	}
	if anchor != start {
		c.b.WriteString(` text-anchor="` + anchor + `"`)
	}
	if class != "" {
		c.b.WriteString(` class="` + class + `"`)
	}
	c.b.WriteString(">")
	if tip != "" {
		c.b.WriteString("<title>" + escape(tip) + "</title>")
	}
	c.b.WriteString(escape(s) + "</text>")
}

// figure finishes the drawing.
func (c *canvas) figure(id, title, description string, width, height float64) Figure {
	return Figure{id: id, title: title, description: description, width: width, height: height, body: c.b.String()}
}

// em is the mean width of a character of 12 px text in the wider of the usual fonts.
const em = 6.9

// extent estimates the width of a text in px.
func extent(s string) float64 { return em * float64(len([]rune(s))) }

// fit cuts a text that would take more than room px.
func fit(s string, room float64) string {
	runes := []rune(s)
	if n := int(room/em + 0.01); len(runes) > n {
		return string(runes[:max(n-1, 0)]) + "…"
	}
	return s
}
