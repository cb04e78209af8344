package lab

import (
	"fmt"
	"slices"
)

// Series is one figure over the rounds.
type Series []float64

// Median is the middle, 0 of no figures.
func (s Series) Median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Min is the smallest, 0 of no figures.
func (s Series) Min() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Min(s)
}

// Max is the largest, 0 of no figures.
func (s Series) Max() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Max(s)
}

// Over divides round by round: only figures of one round are comparable,
// because a machine drifts. Where a divisor is 0 the round is left out.
func (s Series) Over(t Series) Series {
	var ratios Series
	for i := range min(len(s), len(t)) {
		if t[i] != 0 {
			ratios = append(ratios, s[i]/t[i])
		}
	}
	return ratios
}

// Plus adds round by round.
func (s Series) Plus(t Series) Series {
	sums := slices.Clone(s)
	for i := range min(len(s), len(t)) {
		sums[i] += t[i]
	}
	return sums
}

// Of picks a figure of every sample.
func Of[T any](samples []T, figure func(T) float64) Series {
	s := make(Series, len(samples))
	for i, x := range samples {
		s[i] = figure(x)
	}
	return s
}

// Spread writes the median, with the least and the most of several, and "-" for no figures.
func (s Series) Spread(digits int) string {
	switch len(s) {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf("%.*f", digits, s[0])
	default:
		return fmt.Sprintf("%.*f (%.*f-%.*f)", digits, s.Median(), digits, s.Min(), digits, s.Max())
	}
}
