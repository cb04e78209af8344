package blendvisionbackend

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

func TestOptionsThatAreIgnored_AreErrors(t *testing.T) {
	o := FileOptions{Attributes: map[string]string{"k": "v"}}.withDefaults()
	asked, err := o.describe(sluice.FileSpec{Name: "a", Size: 1})
	require.NoError(t, err)
	stored := func(change func(*fileAnswer)) *fileAnswer {
		var a fileAnswer
		a.File.Type, a.File.Source, a.File.Attrs = o.Type, o.Source, map[string]string{"k": "v", "own": "x"}
		change(&a)
		return &a
	}
	for want, change := range map[string]func(*fileAnswer){
		"type":       func(a *fileAnswer) { a.File.Type = "FILE_TYPE_AUDIO" },
		"source":     func(a *fileAnswer) { a.File.Source = "FILE_SOURCE_STT" },
		"attributes": func(a *fileAnswer) { a.File.Attrs = map[string]string{} },
	} {
		err := asked.ignored(stored(change))
		require.ErrorIs(t, err, sluice.ErrOptionIgnored)
		require.ErrorContains(t, err, "another "+want)
	}
	require.NoError(t, asked.ignored(stored(func(*fileAnswer) {})))
	require.NoError(t, asked.ignored(&fileAnswer{}), "an answer that leaves them out")
}
