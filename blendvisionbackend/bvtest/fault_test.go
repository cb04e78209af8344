package bvtest_test

import (
	"context"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

const request = `{"file":{"source":"FILE_SOURCE_STT","name":"a","size":1}}`

func TestFaultsOfTheAPI(t *testing.T) {
	for name, v := range map[string]struct {
		fault    bvtest.Fault
		status   int  // 0: dropped
		broken   bool // the answer ends early
		sessions int  // opened all the same
	}{
		"refuse":            {bvtest.Fault{Kind: bvtest.Refuse}, 503, false, 0},
		"refuse, status":    {bvtest.Fault{Kind: bvtest.Refuse, Status: 429}, 429, false, 0},
		"refuse early":      {bvtest.Fault{Kind: bvtest.RefuseEarly, Status: 500}, 500, false, 0},
		"drop":              {bvtest.Fault{Kind: bvtest.Drop}, 0, true, 0},
		"drop early":        {bvtest.Fault{Kind: bvtest.DropEarly}, 0, true, 0},
		"lose":              {bvtest.Fault{Kind: bvtest.LoseAnswer}, 0, true, 1},
		"lose, with status": {bvtest.Fault{Kind: bvtest.LoseAnswer, Status: 504}, 504, false, 1},
		"truncate":          {bvtest.Fault{Kind: bvtest.Truncate}, 200, true, 1},
		"garbage":           {bvtest.Fault{Kind: bvtest.Garbage}, 200, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, nil)
			v.fault.Call = bvtest.CallUpload
			v.fault.RetryAfter = "7"
			c.inject(v.fault)
			a := c.call(":upload", request)
			require.Equal(t, v.status, a.status)
			require.Equal(t, v.broken, a.err != nil)
			require.Len(t, c.server.Sessions(), v.sessions)
			if v.status >= 400 {
				require.NotZero(t, a.code(t))
				require.Equal(t, "7", a.header.Get("Retry-After"))
			}
			require.NoError(t, c.server.Check(), "a session whose answer was spoiled is not the client's fault")
			require.Equal(t, http.StatusOK, c.call(":upload", request).status, "once")
		})
	}
}

func TestGatewayFault_AnswersHTML(t *testing.T) {
	c := start(t, nil)
	u := c.open(1)
	c.inject(
		bvtest.Fault{Call: bvtest.CallUpload, Status: 403, Gateway: true},
		bvtest.Fault{Call: bvtest.CallPut, Status: 520, Gateway: true},
	)
	api, store := c.call(":upload", request), c.put(u.UploadData.Parts[0].URL, []byte("x"))
	require.Equal(t, []int{403, 520}, []int{api.status, store.status})
	for _, a := range []answer{api, store} {
		require.Equal(t, "text/html", a.header.Get("Content-Type"))
	}
}

func TestFaultsOfPartsAreByPlaceAndTime(t *testing.T) {
	c := start(t, &bvtest.Options{Parts: 2, FirstNumber: 5})
	c.inject(bvtest.Fault{Call: bvtest.CallPut, Part: 2, Skip: 1, Count: 2, Kind: bvtest.Refuse, Status: 500})
	u := c.open(2)
	var got []int
	for range 4 {
		require.Equal(t, http.StatusOK, c.put(u.UploadData.Parts[0].URL, []byte("x")).status)
		got = append(got, c.put(u.UploadData.Parts[1].URL, []byte("y")).status)
	}
	require.Equal(t, []int{200, 500, 500, 200}, got)
}

func TestFaultsOfParts(t *testing.T) {
	for name, v := range map[string]struct {
		fault  bvtest.Fault
		status int
		etag   bool
		stored bool
	}{
		"refuse":       {bvtest.Fault{Kind: bvtest.Refuse}, 503, false, false},
		"refuse early": {bvtest.Fault{Kind: bvtest.RefuseEarly}, 503, false, false},
		"drop":         {bvtest.Fault{Kind: bvtest.Drop}, 0, false, false},
		"drop early":   {bvtest.Fault{Kind: bvtest.DropEarly}, 0, false, false},
		"lose":         {bvtest.Fault{Kind: bvtest.LoseAnswer}, 0, false, true},
		"truncate":     {bvtest.Fault{Kind: bvtest.Truncate}, 200, true, true},
		"garbage":      {bvtest.Fault{Kind: bvtest.Garbage}, 200, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, nil)
			v.fault.Call = bvtest.CallPut
			c.inject(v.fault)
			a := c.put(c.open(1).UploadData.Parts[0].URL, []byte("x"))
			require.Equal(t, v.status, a.status)
			require.Equal(t, v.etag, a.header.Get("ETag") != "")
			require.Equal(t, v.stored, c.server.Sessions()[0].Parts[0].ETag != "")
		})
	}
}

func TestLostCompletionMayBeAskedForAgain(t *testing.T) {
	c := start(t, nil)
	c.inject(bvtest.Fault{Call: bvtest.CallComplete, Kind: bvtest.LoseAnswer})
	u := c.open(1)
	etag := c.put(u.UploadData.Parts[0].URL, []byte("x")).header.Get("ETag")
	require.Zero(t, c.complete(u, u.completion(t, []string{etag}, []byte("x"))).status)
	require.Equal(t, 10, c.complete(u, u.completion(t, []string{etag}, []byte("x"))).code(t))
	require.NoError(t, c.server.Check())
}

func TestStallsEndWithTheServer(t *testing.T) {
	for _, kind := range []bvtest.FaultKind{bvtest.StallEarly, bvtest.Stall} {
		t.Run(string(kind), func(t *testing.T) {
			c := start(t, nil)
			fired := make(chan struct{})
			c.inject(bvtest.Fault{Call: bvtest.CallUpload, Kind: kind, Fired: func() { close(fired) }})
			done := make(chan answer)
			go func() { done <- c.call(":upload", request) }()
			<-fired
			c.server.Close()
			require.Error(t, (<-done).err)
			require.Empty(t, c.server.Sessions())
		})
	}
}

func TestStalledAnswerEndsWhenTheClientLeaves(t *testing.T) {
	inBubble(t, bvtest.Options{}, func(c client) {
		ctx, cancel := context.WithCancel(c.t.Context())
		c.inject(bvtest.Fault{Call: bvtest.CallUpload, Kind: bvtest.Stall, Fired: cancel})
		require.ErrorIs(c.t, c.sendUntil(ctx, http.MethodPost, c.server.URL()+"/bv/cms/v1/library/files:upload", nil).err,
			context.Canceled)
		synctest.Wait()
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		require.NotContains(c.t, string(stacks), "localserver.(*Endpoints).Commit", "the handler still waits")
		require.Empty(c.t, c.server.Sessions())
	})
}

func TestALostFileMayBeAnswered(t *testing.T) {
	c := start(t, nil)
	c.inject(bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.LoseAnswer, Status: 504, RetryAfter: "7"})
	u := c.open(5)
	etag := c.put(u.UploadData.Parts[0].URL, []byte("whole")).header.Get("ETag")
	require.Equal(t, http.StatusOK, c.complete(u, u.completion(t, []string{etag}, []byte("whole"))).status)
	url := c.downloadURL(u)
	a := c.send(http.MethodGet, url, nil)
	require.Equal(t, http.StatusGatewayTimeout, a.status)
	require.Equal(t, "7", a.header.Get("Retry-After"))
	require.Equal(t, "whole", string(c.send(http.MethodGet, url, nil).body))
	require.NoError(t, c.server.Check())
}

func TestInjectRefusesWhatNoFaultCanBe(t *testing.T) {
	c := start(t, nil)
	for text, f := range map[string]bvtest.Fault{
		`bvtest: Fault.Call "" is no call`:                                         {},
		`bvtest: Fault.Kind "burn" is no kind`:                                     {Call: bvtest.CallPut, Kind: "burn"},
		"bvtest: Fault.Part 1 of download is negative, or of a call that has none": {Call: bvtest.CallDownload, Part: 1},
		"bvtest: Fault.Part -1 of put is negative, or of a call that has none":     {Call: bvtest.CallPut, Part: -1},
		"bvtest: Fault.Skip -1 is negative":                                        {Call: bvtest.CallPut, Skip: -1},
		"bvtest: Fault.Status 200 is not within 300 and 599":                       {Call: bvtest.CallPut, Status: 200},
	} {
		require.EqualError(t, c.server.Inject(bvtest.Fault{Call: bvtest.CallPut}, f), text)
	}
	require.NoError(t, c.server.Check(), "none was added")
}
