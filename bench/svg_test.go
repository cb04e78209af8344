package main

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// A line may lack points that another has, where only some rows were chosen.
func TestPointsStandOverTheirOwnLabels(t *testing.T) {
	c := chart{title: "t", x: "x", y: "y"}
	c.lineOf("some").add("4", 1)
	all := c.lineOf("all")
	all.add("1", 1)
	all.add("4", 2)
	picture := c.svg()
	at := make(map[string]string) // of each label
	for _, m := range regexp.MustCompile(`<text x="([0-9.]+)" y="360.0"[^>]*>(.)<`).FindAllStringSubmatch(picture, -1) {
		require.NotContains(t, at, m[2])
		at[m[2]] = m[1]
	}
	require.Len(t, at, 2)
	var points []string
	for _, m := range regexp.MustCompile(`<circle cx="([0-9.]+)"`).FindAllStringSubmatch(picture, -1) {
		points = append(points, m[1])
	}
	require.Equal(t, []string{at["4"], at["1"], at["4"]}, points)
}
