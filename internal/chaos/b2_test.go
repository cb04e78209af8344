package chaos

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/pipenet"
)

// service is a B2 server on a network of its own.
type service struct {
	network   pipenet.Network
	server    *b2test.Server
	transport *http.Transport
	shuffler  *shuffler // before it; nil: answers come as they are given
	wasReset  bool      // answers under way were lost
}

func newService(t *testing.T, rng *rand.Rand) *service {
	s := &service{transport: httpx.NewTransport()}
	s.transport.DialContext = s.network.Dial
	toss := func() bool { return oneIn(rng, 2) }
	o := &b2test.Options{
		Listen: s.network.Listen, MinPartSize: page, RecommendedPartSize: page,
		Uncertain: b2test.Uncertain{
			FinishBadRequest: toss(), URLSurvives400: toss(), DeadURL503: toss(), LoginUnauthorized: toss(), FileInfo400: toss(),
		},
	}
	if toss() {
		o.Latency = upTo(rng, 200*time.Millisecond)
	}
	if oneIn(rng, 4) {
		o.Bandwidth = int64(page + rng.IntN(10*page))
	}
	if oneIn(rng, 3) {
		s.shuffler = newShuffler(rng, s.transport)
	}
	var err error
	s.server, err = b2test.Start(o)
	require.NoError(t, err)
	return s
}

func (s *service) close() {
	s.transport.CloseIdleConnections()
	s.server.Close()
	for _, n := range s.server.Fired() {
		tally.faults.Add(int64(n))
	}
	if s.shuffler != nil {
		tally.faults.Add(int64(s.shuffler.struck()))
	}
}

// connect logs in as a new program does.
func (s *service) connect(t *testing.T, retry sluice.Retry) (*b2backend.Backend, error) {
	o := &b2backend.Options{Endpoint: s.server.URL(), Transport: s.transport, Retry: retry}
	if s.shuffler != nil {
		o.Transport = s.shuffler
	}
	return b2backend.New(t.Context(), b2backend.NewCredentials(s.server.KeyID(), s.server.Key()), s.server.Bucket(), o)
}

// reset breaks all connections.
func (s *service) reset() {
	s.wasReset = true
	s.network.Reset()
}

// read is the content of a stored file.
func read(t *testing.T, f *b2test.File) []byte {
	data, err := io.ReadAll(f.Reader())
	require.NoError(t, err)
	return data
}

// b2Calls are those of an upload, with those that look what became of one.
var b2Calls = []string{
	"b2_get_upload_url", "b2_upload_file", "b2_start_large_file", "b2_get_upload_part_url", "b2_upload_part", "b2_upload_part",
	"b2_finish_large_file", "b2_cancel_large_file", "b2_list_unfinished_large_files", "b2_get_file_info", "b2_list_file_versions", "",
}

var passingStatuses = []int{408, 429, 500, 502, 503, 503, 504}

// passingFault is one that an upload survives, if there are not too many in a row.
func passingFault(rng *rand.Rand, atMost int) b2test.Fault {
	kinds := []b2test.FaultKind{
		b2test.Refuse, b2test.Refuse, b2test.Refuse, b2test.RefuseEarly, b2test.Drop, b2test.DropMidBody, b2test.LoseAnswer, b2test.LoseAnswer,
		b2test.Stall, b2test.SlowBody, b2test.Wait, b2test.Truncate, b2test.Garbage, b2test.WrongSHA1, b2test.WrongLength,
	}
	f := b2test.Fault{Kind: kinds[rng.IntN(len(kinds))], Call: b2Calls[rng.IntN(len(b2Calls))], Skip: rng.IntN(8), Count: 1 + rng.IntN(atMost)}
	switch f.Kind {
	case b2test.Refuse, b2test.RefuseEarly:
		f.Status = passingStatuses[rng.IntN(len(passingStatuses))]
		f.RetryAfter = []string{"", "", "0", "7", "soon", "100000"}[rng.IntN(6)]
	case b2test.LoseAnswer:
		f.Status = []int{0, 500, 502, 504}[rng.IntN(4)]
	case b2test.SlowBody:
		f.Rate = int64(1 + rng.IntN(page))
	case b2test.Wait:
		f.Delay = upTo(rng, time.Minute)
	}
	return f
}

// b2Scenario is a stream to B2.
type b2Scenario struct {
	stream
	retry  sluice.Retry
	pages  int
	faults []b2test.Fault
	events []event
	late   bool // the service may be at work after the stream has ended
}

// event is something that happens to the service while a stream is under way.
type event struct {
	after time.Duration // the one before
	do    func(*service)
}

// randomB2Scenario has few faults, which have to be survived, or many.
func randomB2Scenario(rng *rand.Rand) *b2Scenario {
	s := &b2Scenario{pages: 4 + rng.IntN(20)}
	s.data = content(rng, max(0, rng.IntN(8)*page+rng.IntN(3)-1))
	if oneIn(rng, 3) {
		s.data = content(rng, rng.IntN(40*page))
	}
	s.options.Concurrency = rng.IntN(6)
	if oneIn(rng, 2) {
		s.options.PartSize = page * int64(1+rng.IntN(s.pages-s.pages/2))
	}
	s.steps = randomSteps(rng, len(s.data))
	s.spoil(rng, 10*time.Second)
	switch rng.IntN(3) {
	case 0:
		for budget := 4; budget > 0; {
			f := passingFault(rng, min(3, budget))
			budget -= f.Count
			s.faults = append(s.faults, f)
		}
	case 1:
		for range rng.IntN(8) {
			s.faults = append(s.faults, passingFault(rng, 12))
		}
		if oneIn(rng, 2) {
			s.doLate(rng)
		} else if oneIn(rng, 2) {
			s.hideFinish()
		}
		s.texts = append(s.texts, "b2_")
	}
	switch rng.IntN(4) {
	case 0:
		s.faults = append(s.faults, b2test.Fault{
			Kind: b2test.ExpireToken, Call: b2Calls[rng.IntN(len(b2Calls))], Skip: rng.IntN(6), Count: 1 + rng.IntN(2),
		})
	case 1:
		s.faults = append(s.faults, b2test.Fault{Kind: b2test.Refuse, Status: 403, Call: b2Calls[rng.IntN(len(b2Calls))], Skip: rng.IntN(12), Count: -1})
		s.texts = append(s.texts, "b2_")
	case 2:
		s.faults = append(s.faults, b2test.Fault{Kind: b2test.VaultFull, Skip: rng.IntN(3)})
		s.texts = append(s.texts, "b2_get_upload_part_url")
	}
	for range rng.IntN(3) {
		s.events = append(s.events, randomEvent(rng, s.late))
	}
	return s
}

// lateWork is how long the service may be at work on what its client has given up.
const lateWork = 40 * time.Minute

// doLate has the service do some of its work, and answer, when the client may have given up.
func (s *b2Scenario) doLate(rng *rand.Rand) {
	s.late = true
	for range 1 + rng.IntN(3) {
		s.faults = append(s.faults, b2test.Fault{
			Kind: b2test.Wait, Call: b2Calls[rng.IntN(len(b2Calls))], Skip: rng.IntN(8), Delay: upTo(rng, lateWork),
		})
	}
	s.causes = append(s.causes, sluice.ErrFinishUnknown)
}

// hideFinish has the service finish, and say nothing of that then or later.
func (s *b2Scenario) hideFinish() {
	s.faults = append(s.faults, b2test.Fault{Kind: b2test.LoseAnswer, Call: "b2_finish_large_file", Count: -1})
	for _, look := range []string{"b2_get_file_info", "b2_list_file_versions", "b2_list_parts"} {
		s.faults = append(s.faults, b2test.Fault{Kind: b2test.Refuse, Status: 503, Call: look, Count: -1})
	}
	s.causes = append(s.causes, sluice.ErrFinishUnknown)
}

// randomEvent is one that costs no attempt more than another one elsewhere.
// Where the service works late no connection is broken: a finish whose
// connection broke, and that is not repeated, is looked for during half a minute
// only.
func randomEvent(rng *rand.Rand, late bool) event {
	happenings := []func(*service){
		func(s *service) { s.server.ExpireAccountTokens() },
		func(s *service) { s.server.ExpireUploadTokens() },
		func(s *service) { s.server.Advance(upTo(rng, 48*time.Hour)) },
		func(s *service) { s.reset() },
		func(s *service) { // a restart
			s.reset()
			s.server.ExpireUploadTokens()
		},
	}
	if late {
		happenings = happenings[:3]
	}
	return event{upTo(rng, 5*time.Second), happenings[rng.IntN(len(happenings))]}
}

// run uploads the stream, and checks what is there then.
func (s *b2Scenario) run(t *testing.T, rng *rand.Rand) {
	service := newService(t, rng)
	defer service.close()
	defer func() {
		if t.Failed() {
			for i, f := range s.faults {
				t.Logf("fault %+v fired %d times", f, service.server.Fired()[i])
			}
			for _, r := range service.server.Requests() {
				t.Logf("%v %s part %d: %d %s %s", r.Time.Format(time.TimeOnly), r.Call, r.Part, r.Status, r.Code, r.Fault)
			}
		}
	}()
	b, err := service.connect(t, s.retry)
	require.NoError(t, err)
	require.NoError(t, service.server.Inject(s.faults...))
	pool := newPool(t, s.pages, oneIn(rng, 20))
	defer pool.Close()
	s.options.Pool = pool
	s.disk = fillDisk(t, rng, pool, len(s.data)/page)

	if len(s.causes) > 0 {
		// Giving up while a lost finish is looked for leaves it unknown.
		s.causes = append(s.causes, sluice.ErrFinishUnknown)
	}
	o := func() outcome {
		var life sync.WaitGroup
		ended := make(chan struct{})
		defer life.Wait()
		defer close(ended)
		life.Go(func() { service.live(s.events, ended) })
		return s.stream.run(t, b, "f")
	}()

	require.Zero(t, pool.InUse(), "all pages are home")
	if s.late {
		time.Sleep(lateWork)
	}
	server := service.server
	files, unfinished := server.Files(server.Bucket()), server.Unfinished()
	switch {
	case o.err == nil:
		require.False(t, s.disk.wasFull(), "a page was refused, and nobody noticed")
		if !s.late {
			require.Empty(t, unfinished)
		}
		require.True(t, len(files) == 1 || service.wasReset || s.late, "no second version, unless the service was at work on the first unseen")
		for _, f := range files {
			verify(t, read(t, f), s.data)
		}
	case errors.Is(o.err, sluice.ErrFinishUnknown):
		require.LessOrEqual(t, len(files), 1)
		for _, f := range files {
			tally.doubtfulB2.Add(1)
			verify(t, read(t, f), s.data)
		}
	default:
		require.Empty(t, files)
		if o.err.LargeFile == "" && len(unfinished) > 0 {
			require.True(t, errors.Is(o.err, sluice.ErrLeftBehind) || server.Count("b2_start_large_file") > 1, "unnamed: %v", o.err)
		}
		if o.err.LargeFile != "" {
			require.True(t, o.err.Cleanup != nil || s.options.KeepOnFailure)
		}
	}
	if len(unfinished) > 0 {
		server.ExpectUnfinished("f")
	}
	require.NoError(t, server.Check())
}

// live has the events happen.
func (s *service) live(events []event, ended <-chan struct{}) {
	for _, e := range events {
		select {
		case <-time.After(e.after):
			e.do(s)
			tally.faults.Add(1)
		case <-ended:
			return
		}
	}
}

func TestB2(t *testing.T) {
	sweep(t, 3000, bubble(func(t *testing.T, rng *rand.Rand) { randomB2Scenario(rng).run(t, rng) }))
}
