package main

import (
	"encoding/json"
	"os"
	"slices"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// result is everything that a run measured, in the order in which it is shown.
type result struct {
	Machine string
	Command []string
	Time    time.Time
	Rounds  int
	Rows    []outcome
	Limits  []measured // the raw ones
}

// measured is a job with what it took in every round.
type measured struct {
	Job     job
	Samples []sample
}

// outcome is a row with its ratios, round by round.
type outcome struct {
	Name string
	measured
	limits []job // the raw ones that it is compared with
	// WallLimit and CPULimit are the seconds that a byte takes by the raw
	// limits together; none where there are none.
	WallLimit, CPULimit lab.Series
	// OfLimit is the share of the rate that the raw limits together allow.
	OfLimit lab.Series
	// CPUOver is the CPU time over that of the raw limits together.
	CPUOver lab.Series
}

func newResult(args []string, rows []row, rounds int, samples map[job][]sample) result {
	r := result{
		Machine: lab.Machine(), Command: args, Time: time.Now().UTC().Truncate(time.Second), Rounds: rounds,
	}
	for _, j := range jobs(rows) {
		if j.Work != workStream {
			r.Limits = append(r.Limits, measured{j, samples[j]})
		}
	}
	for _, row := range rows {
		o := outcome{
			Name: row.name, measured: measured{row.stream, samples[row.stream]},
			limits:    slices.Concat(row.wall, row.cpu),
			WallLimit: r.together(row.wall, sample.wallPerByte), CPULimit: r.together(row.cpu, sample.cpuPerByte),
		}
		o.OfLimit = o.WallLimit.Over(o.of(sample.wallPerByte))
		o.CPUOver = o.of(sample.cpuPerByte).Over(o.CPULimit)
		r.Rows = append(r.Rows, o)
	}
	return r
}

// together adds a figure of several raw limits, round by round.
func (r result) together(limits []job, figure func(sample) float64) lab.Series {
	var sum lab.Series
	for _, m := range r.Limits {
		if !slices.Contains(limits, m.Job) {
			continue
		}
		if sum == nil {
			sum = make(lab.Series, len(m.Samples))
		}
		sum = sum.Plus(m.of(figure))
	}
	return sum
}

func (r result) writeJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func (m measured) of(figure func(sample) float64) lab.Series { return lab.Of(m.Samples, figure) }
