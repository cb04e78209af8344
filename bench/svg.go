package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// point is a value with the label under it.
type point struct {
	label string
	value float64
}

type line struct {
	name   string
	points []point
}

// chart is lines over labels at equal distances, from 0 up.
type chart struct {
	title, x, y string // y is the values' unit
	lines       []line
}

// Colours that are told apart in print, by most eyes, and on the dark as on the light.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// style has the picture follow the reader's light or dark; it has a ground of its own in both.
const style = `<style>
.ground { fill: #ffffff } .grid { stroke: #d8d8d8 } text { fill: #1f2328; font: 13px sans-serif } .title { font-size: 16px }
@media (prefers-color-scheme: dark) { .ground { fill: #161b22 } .grid { stroke: #3d444d } text { fill: #e6edf3 } }
</style>`

// Sizes in pixels.
const (
	width, height = 760, 400
	left, right   = 80, 160 // the legend is on the right
	top, bottom   = 50, 60
)

// svg is "" for a chart without lines.
func (c chart) svg() string {
	if len(c.lines) == 0 {
		return ""
	}
	labels := c.labels()
	most := 0.0
	for _, l := range c.lines {
		for _, p := range l.points {
			most = max(most, p.value)
		}
	}
	step := tick(most)
	most = step * max(1, math.Ceil(most/step))
	y := func(v float64) float64 { return height - bottom - v/most*(height-top-bottom) }
	x := func(label string) float64 {
		return left + (float64(slices.Index(labels, label))+0.5)/float64(len(labels))*(width-left-right)
	}
	var s drawing
	s.open(height, c.title)
	for v := 0.0; v <= most*1.001; v += step {
		s.f(`<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, width-right, y(v), y(v))
		s.text(left-8, y(v)+4, "end", fmt.Sprintf("%g", math.Round(v/step)*step))
	}
	for _, label := range labels {
		s.text(x(label), height-bottom+20, "middle", label)
	}
	s.text((left+width-right)/2, height-14, "middle", c.x)
	const middle = (top + height - bottom) / 2
	s.f(`<text transform="translate(22 %d) rotate(-90)" text-anchor="middle">%s</text>`, middle, html.EscapeString(c.y))
	for i, l := range c.lines {
		s.line(l, colours[i%len(colours)], float64(top+20*i), x, y)
	}
	return s.close()
}

// labels are those of all lines, one of which may lack a few.
func (c chart) labels() []string {
	var all []string
	for _, l := range c.lines {
		for _, p := range l.points {
			if !slices.Contains(all, p.label) {
				all = append(all, p.label)
			}
		}
	}
	return all
}

// line draws one, and its entry of the legend at a height.
func (s *drawing) line(l line, colour string, at float64, x func(label string) float64, y func(value float64) float64) {
	var path []string
	for _, p := range l.points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x(p.label), y(p.value)))
		s.f(`<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`, x(p.label), y(p.value), colour)
	}
	s.f(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.Join(path, " "), colour)
	s.f(`<rect x="%d" y="%.1f" width="12" height="12" fill="%s"/>`, width-right+15, at, colour)
	s.text(width-right+33, at+11, "start", l.name)
}

// barsSVG draws a horizontal bar for each value, over an axis from 0 with its unit; "" for none.
func barsSVG(title, unit string, bars []point) string {
	if len(bars) == 0 {
		return ""
	}
	most := 0.0
	for _, b := range bars {
		most = max(most, b.value)
	}
	step := tick(most)
	most = step * max(1, math.Ceil(most/step))
	const from, to, each = 150, width - 80, 26
	x := func(v float64) float64 { return from + v/most*(to-from) }
	end := top + each*len(bars)
	var s drawing
	s.open(end+bottom, title)
	for v := 0.0; v <= most*1.001; v += step {
		s.f(`<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, x(v), x(v), top-8, end)
		s.text(x(v), float64(end+18), "middle", fmt.Sprintf("%g", math.Round(v/step)*step))
	}
	s.text((from+to)/2, float64(end+42), "middle", unit)
	for i, b := range bars {
		y := float64(top + each*i)
		s.text(from-8, y+14, "end", b.label)
		s.f(`<rect x="%d" y="%.1f" width="%.1f" height="18" fill="%s"/>`, from, y, x(b.value)-from, colours[0])
		s.text(x(b.value)+8, y+14, "start", fmt.Sprintf("%.0f", b.value))
	}
	return s.close()
}

// tick is a round step that divides up to most into some five.
func tick(most float64) float64 {
	if most <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(most/5)))
	for _, f := range []float64{1, 2, 5} {
		if most/(f*unit) <= 6 {
			return f * unit
		}
	}
	return 10 * unit
}

// drawing is SVG being written.
type drawing struct{ strings.Builder }

func (s *drawing) f(format string, a ...any) { fmt.Fprintf(s, format+"\n", a...) }

func (s *drawing) open(h int, title string) {
	s.f(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, h, html.EscapeString(title))
	s.f("%s", style)
	s.f(`<rect class="ground" width="100%%" height="100%%"/>`)
	s.f(`<text class="title" x="%d" y="28">%s</text>`, 20, html.EscapeString(title))
}

func (s *drawing) text(x, y float64, anchor, text string) {
	s.f(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, html.EscapeString(text))
}

func (s *drawing) close() string {
	s.f("</svg>")
	return s.String()
}
