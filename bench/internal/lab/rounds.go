package lab

import (
	"fmt"
	"time"
)

// warmUp is by how much streams are shorter in the round that does not count.
const warmUp = 16

// WarmUp is how long a stream of size bytes is in that round; it is at least so
// many bytes, if the stream is.
func WarmUp(size, least int64) int64 { return min(size, max(size/warmUp, least)) }

// Rounds runs every job once a round, A B C A B C …, so that what drifts meets
// all alike. A round before the first warms up, is told so, and does not count.
// It returns what each job gave in every round; the first error ends all.
func Rounds[J, S any](jobs []J, rounds int, talk *Progress, run func(job J, warming bool) (S, error)) ([][]S, error) {
	samples := make([][]S, len(jobs))
	for round := range rounds + 1 {
		began := time.Now()
		name := fmt.Sprintf("round %d of %d", round, rounds)
		if round == 0 {
			name = "warming up"
		}
		for i, j := range jobs {
			talk.Now("%s, %d of %d: %v", name, i+1, len(jobs), j)
			s, err := run(j, round == 0)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", j, err)
			}
			if round > 0 {
				samples[i] = append(samples[i], s)
			}
		}
		took := time.Since(began).Round(time.Second / 10)
		talk.Done("%s took %v", name, took)
		if round == 1 && rounds > 1 {
			talk.Done("done in about %v", (took * time.Duration(rounds-1)).Round(time.Second))
		}
	}
	return samples, nil
}
