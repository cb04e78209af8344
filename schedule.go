package sluice

import "math"

// schedule says how big the next part is, so that the target is reached in maxParts parts. It is a pure
// function of how far the stream has come: parts that were cut otherwise (the stored ones of an earlier
// run) are made up for by those that follow.
type schedule struct {
	base     int64 // the first part, and the smallest
	maxPart  int64 // largest: the least of the backend's and the Pool's
	target   int64 // the stream must be able to come this far
	maxParts int
	round    int64 // sizes are multiples of this (a page) where maxPart allows
}

// next is the size of the part after done bytes in parts parts: the smallest that growth towards the
// target allows. If the target can be reached at all, it is reached exactly.
func (s schedule) next(done int64, parts int) int64 {
	left := int64(s.maxParts - parts)
	if rest := s.target - done; rest <= mul(s.base, left) {
		return s.base
	}
	n := max(s.base, int64(float64(done)/s.growth(done, parts)))
	// What is left after this part must fit the numbers after it, whatever the growth says.
	n = max(n, s.target-done-mul(s.maxPart, left-1))
	return min(roundUp(n, s.round), s.maxPart)
}

// growth is the largest k for which parts of done/k bytes still reach the target: a part is a k-th of
// what lies before it.
func (s schedule) growth(done int64, parts int) float64 {
	left := 0.995*float64(s.maxParts-parts) - 1 // a little less than there are: for rounding
	lo, hi := 1.0, 1e6
	for range 50 { // need rises with k
		if k := math.Sqrt(lo * hi); s.need(float64(done), k) <= left {
			lo = k
		} else {
			hi = k
		}
	}
	return lo
}

// need is the number of parts from u to the target when every part is u/k, at least base, at most maxPart.
func (s schedule) need(u, k float64) float64 {
	target, base, top := float64(s.target), float64(s.base), float64(s.maxPart)
	var n float64
	if to := min(k*base, target); u < to {
		n, u = (to-u)/base, to
	}
	if to := min(k*top, target); u < to {
		n, u = n+math.Log(to/u)/math.Log1p(1/k), to
	}
	if u < target {
		n += (target - u) / top
	}
	return n
}

// tailPiece is the size of the pieces in which the last part of a stream is sent, so that it does not
// go over one connection while the others idle: an equal share for each idle upload, but not below the
// store's smallest part, at page boundaries, and in no more than numbers pieces.
func tailPiece(tail, minPart, page int64, idle, numbers int) int64 {
	pieces := max(1, min(int64(idle), int64(numbers), tail/max(minPart, page)))
	return min(tail, roundUp(ceilDiv(tail, pieces), page))
}

// carries is the longest stream of unknown length that parts between base and maxPart carry. Parts that
// start small and grow cannot all be of the largest size: the tenth given up pays for that.
func carries(base, maxPart int64, maxParts int) int64 {
	whole := mul(maxPart, int64(maxParts))
	return max(whole-whole/10, mul(base, int64(maxParts)))
}

// mul is a*b for a, b >= 0, cut at the largest int64.
func mul(a, b int64) int64 {
	if a > 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}

// roundUp is the next multiple of unit, n if that would overflow.
func roundUp(n, unit int64) int64 {
	if n > math.MaxInt64-unit {
		return n
	}
	return (n + unit - 1) / unit * unit
}
