package main

import "time"

// sample is what one job took. A raw limit has no more than bytes, time and CPU.
type sample struct {
	Bytes    int64
	Wall     float64 // seconds
	CPU      float64 // seconds of this process, user and system
	RSS      int64   // peak, bytes
	Pages    int64   // peak, bytes of the Pool in use
	Limit    int64   // bytes of the Pool
	Parts    int
	Allocs   float64 // of the whole process for each part, in the second half of the stream
	Tail     float64 // seconds from the source's last byte to the end of Close
	Requests int
	Retries  int
	// Least is how far the slowest of several writers came, as a share of the
	// fastest, while all were under way.
	Least float64 `json:",omitempty"`
}

func (s sample) rate() float64 { return float64(s.Bytes) / s.Wall }

// perByte are the seconds that a byte takes, which add up where one rate does
// not. Of no byte it is not NaN, which JSON has no word for.
func (s sample) wallPerByte() float64 { return s.Wall / max(1, float64(s.Bytes)) }
func (s sample) cpuPerByte() float64  { return s.CPU / max(1, float64(s.Bytes)) }

func gibPerSecond(s sample) float64 { return s.rate() / (1 << 30) }
func cpuPerGiB(s sample) float64    { return s.cpuPerByte() * (1 << 30) }
func rssMiB(s sample) float64       { return float64(s.RSS) / (1 << 20) }
func allocs(s sample) float64       { return s.Allocs }
func tail(s sample) float64         { return s.Tail }
func retries(s sample) float64      { return float64(s.Retries) }
func least(s sample) float64        { return s.Least }
func pagesOfLimit(s sample) float64 { return float64(s.Pages) / float64(s.Limit) }

// milliseconds writes s seconds for a table.
func milliseconds(s float64) string {
	return (time.Duration(s*1e6) * time.Microsecond).Round(100 * time.Microsecond).String()
}
