package b2backend_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// passing are faults that an upload survives, whatever call they befall.
var passing = []b2test.Fault{
	{Kind: b2test.Refuse, Status: 429},
	{Kind: b2test.Refuse, Status: 408},
	{Kind: b2test.Refuse, Status: 500},
	{Kind: b2test.Refuse, Status: 502},
	{Kind: b2test.Refuse, Status: 503},
	{Kind: b2test.Refuse, Status: 503, RetryAfter: "0"},
	{Kind: b2test.Refuse, Status: 503, RetryAfter: "soon"},
	{Kind: b2test.Refuse, Status: 504},
	{Kind: b2test.Refuse, Status: 499, Code: "client_closed"},
	{Kind: b2test.Refuse, Status: 520},
	{Kind: b2test.Refuse, Status: 598, Gateway: true},
	{Kind: b2test.Refuse, Status: 400, Gateway: true},
	{Kind: b2test.LoseAnswer, Status: 408},
	{Kind: b2test.LoseAnswer, Status: 499, Gateway: true},
	{Kind: b2test.LoseAnswer, Status: 524, Gateway: true},
	{Kind: b2test.RefuseEarly, Status: 503},
	{Kind: b2test.Drop},
	{Kind: b2test.DropMidBody},
	{Kind: b2test.LoseAnswer},
	{Kind: b2test.LoseAnswer, Status: 500},
	{Kind: b2test.LoseAnswer, Status: 502},
	{Kind: b2test.LoseAnswer, Status: 504},
	{Kind: b2test.Stall},
	{Kind: b2test.Truncate},
	{Kind: b2test.Garbage},
	{Kind: b2test.ExpireToken},
	{Kind: b2test.WrongSHA1},
	{Kind: b2test.WrongLength},
}

// fatal are refusals that end an upload.
var fatal = []b2test.Fault{
	{Kind: b2test.Refuse, Status: 400, Code: "bad_request", Message: "no"},
	{Kind: b2test.Refuse, Status: 403, Code: "storage_cap_exceeded"},
	{Kind: b2test.Refuse, Status: 404},
	{Kind: b2test.Refuse, Status: 401, Code: "email_not_verified"},
}

// stage runs a test on a server where a fault is met. A stall needs virtual
// time: on a real connection a slow machine looks like one to a policy
// that gives up soon.
func stage(t *testing.T, o b2test.Options, f b2test.Fault, run func(t *testing.T, s *b2test.Server, connect func() (*b2backend.Backend, error))) {
	if f.Kind == b2test.Stall {
		synctest.Test(t, func(t *testing.T) {
			p := newPipedWith(t, &o)
			defer p.close(t)
			inject(t, p.Server, f)
			run(t, p.Server, func() (*b2backend.Backend, error) { return p.dial(t) })
		})
		return
	}
	s := newServer(t, &o)
	inject(t, s, f)
	run(t, s, func() (*b2backend.Backend, error) { return connect(t, s, mainKey(s), nil) })
}

func describe(f b2test.Fault) string {
	return fmt.Sprintf("%s %d %s%s part %d", f.Kind, f.Status, f.Code, f.RetryAfter, f.Part)
}

// singleCalls and largeCalls are what an upload consists of.
var (
	singleCalls = []string{"b2_authorize_account", "b2_list_buckets", "b2_get_upload_url", "b2_upload_file"}
	largeCalls  = []string{
		"b2_authorize_account", "b2_list_buckets", "b2_start_large_file", "b2_get_upload_part_url", "b2_upload_part", "b2_finish_large_file",
	}
)

// sweep uploads a file for each fault at each call.
func sweep(t *testing.T, size int, calls []string, faults []b2test.Fault, count int, judge func(t *testing.T, s *b2test.Server, f b2test.Fault, data []byte, err error)) {
	for _, call := range calls {
		t.Run(call, func(t *testing.T) {
			for _, f := range faults {
				f.Call, f.Count = call, count
				if call == "b2_authorize_account" && f.Kind == b2test.ExpireToken {
					continue // it carries no token
				}
				t.Run(describe(f), func(t *testing.T) {
					t.Parallel()
					logins := 4
					if f.Kind == b2test.ExpireToken && count < 0 {
						logins = -1 // one for each attempt of each call
					}
					stage(t, b2test.Options{MaxAuthorize: logins}, f, func(t *testing.T, s *b2test.Server, connect func() (*b2backend.Backend, error)) {
						data := testutil.Content(size)
						b, err := connect()
						if err == nil {
							_, err = streamed(t.Context(), b, "swept", data)
						}
						judge(t, s, f, data, err)
						require.NotZero(t, s.Fired()[0], "the fault befell nothing")
					})
				})
			}
		})
	}
}

// requireOneVersion: the file is there, once.
func requireOneVersion(t *testing.T, s *b2test.Server, f b2test.Fault, data []byte, err error) {
	require.NoError(t, err)
	requireStored(t, s, "swept", data)
	require.Len(t, s.Files(s.Bucket()), 1, "no second version")
	require.Empty(t, s.Unfinished())
}

func TestASingleUploadSurvivesEveryPassingFaultAtEveryCall(t *testing.T) {
	sweep(t, minPart/2, singleCalls, passing, 1, requireOneVersion)
}

func TestALargeFileSurvivesEveryPassingFaultAtEveryCall(t *testing.T) {
	sweep(t, 5*minPart+1, largeCalls, passing, 1, requireOneVersion)
}

func TestALargeFileSurvivesFaultsAtEveryPart(t *testing.T) {
	var faults []b2test.Fault
	for _, f := range passing {
		for _, number := range []int{1, 3, 6} { // the first, one in the middle, the last
			f.Part = number
			faults = append(faults, f)
		}
	}
	sweep(t, 5*minPart+1, []string{"b2_upload_part"}, faults, 2, requireOneVersion)
}

func TestEveryFatalRefusalSurfacesAndLeavesNothing(t *testing.T) {
	nothing := func(t *testing.T, s *b2test.Server, f b2test.Fault, data []byte, err error) {
		require.Error(t, err)
		e, ok := errors.AsType[*b2backend.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, f.Status, e.Status)
		require.Equal(t, f.Call, e.Call)
		require.Empty(t, s.Files(s.Bucket()))
		// A proxy can have sent the finish twice, and the first be at work.
		doubt := f.Call == "b2_finish_large_file" && f.Status == 404
		require.Equal(t, doubt, errors.Is(err, sluice.ErrFinishUnknown))
		require.Equal(t, doubt, len(s.Unfinished()) == 1)
		if doubt {
			s.ExpectUnfinished("swept")
		}
	}
	sweep(t, minPart/2, singleCalls, fatal, -1, nothing)
	sweep(t, 5*minPart+1, largeCalls, fatal, -1, nothing)
}

// A fault that goes on ends the upload after its attempts. A finish that may
// still be done is not cancelled.
func TestAFaultThatGoesOnEndsTheUpload(t *testing.T) {
	lasting := []b2test.Fault{
		{Kind: b2test.Refuse, Status: 503},
		{Kind: b2test.Refuse, Status: 429},
		{Kind: b2test.Drop},
		{Kind: b2test.ExpireToken},
		{Kind: b2test.Refuse, Status: 401, Code: "unauthorized"},
	}
	sweep(t, 5*minPart+1, []string{"b2_get_upload_part_url", "b2_upload_part", "b2_start_large_file", "b2_finish_large_file"}, lasting, -1,
		func(t *testing.T, s *b2test.Server, f b2test.Fault, _ []byte, err error) {
			require.Error(t, err)
			require.Empty(t, s.Files(s.Bucket()))
			if f.Call == "b2_finish_large_file" && (f.Status == 503 || f.Kind == b2test.Drop) {
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				require.Len(t, s.Unfinished(), 1)
				s.ExpectUnfinished("swept")
				return
			}
			require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
			require.Empty(t, s.Unfinished())
		})
}

func TestCancellingSurvivesEveryPassingFault(t *testing.T) {
	for _, f := range passing {
		f.Call = "b2_cancel_large_file"
		t.Run(describe(f), func(t *testing.T) {
			t.Parallel()
			stage(t, b2test.Options{}, f, func(t *testing.T, s *b2test.Server, connect func() (*b2backend.Backend, error)) {
				b, err := connect()
				require.NoError(t, err)
				broken := errors.New("source broke")
				opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MaxSize: 1000 * minPart, MemoryLimit: 64 * minPart}
				_, err = sluice.Upload(t.Context(), b, "swept", opts, func(w io.Writer) error {
					if _, err := w.Write(testutil.Content(4*minPart + 1)); err != nil {
						return err
					}
					return broken
				})
				require.ErrorIs(t, err, broken)
				require.Empty(t, s.Unfinished())
				require.Empty(t, s.Files(s.Bucket()))
			})
		})
	}
}

// readCalls are what reading a file back, listing and removing it consist of.
var readCalls = []string{"b2_list_file_names", byName, "b2_get_file_info", byID, "b2_delete_file_version"}

func TestARestoreSurvivesEveryPassingFaultAtEveryCall(t *testing.T) {
	for _, call := range readCalls {
		for _, f := range passing {
			if f.Kind == b2test.WrongSHA1 || f.Kind == b2test.WrongLength {
				continue // a description that is wrong is no passing fault
			}
			f.Call = call
			t.Run(call+" "+describe(f), func(t *testing.T) {
				t.Parallel()
				stage(t, b2test.Options{MaxAuthorize: 4}, f, func(t *testing.T, s *b2test.Server, connect func() (*b2backend.Backend, error)) {
					b, err := connect()
					require.NoError(t, err)
					data := testutil.Content(5*minPart + 7)
					_, err = streamed(t.Context(), b, "swept", data)
					require.NoError(t, err)
					for found, err := range b.List(t.Context(), "") {
						require.NoError(t, err)
						requireRead(t, b, found, data)
						f := stat(t, b, "swept")
						require.Equal(t, found.ID, f.ID)
						require.NoError(t, b.Remove(t.Context(), f))
					}
					require.Empty(t, s.Files(s.Bucket()))
					require.Equal(t, []int{1}, s.Fired())
				})
			})
		}
	}
}

func TestEveryFatalRefusalEndsARestore(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	store(t, b, "swept", testutil.Content(10))
	f := stat(t, b, "swept")
	for _, call := range readCalls {
		for _, fault := range fatal {
			s.ClearFaults()
			fault.Call = call
			inject(t, s, fault)
			var err error
			switch call {
			case "b2_list_file_names":
				_, err = names(b.List(t.Context(), ""))
			case byID:
				_, err = readAll(t.Context(), b, f)
			case "b2_delete_file_version":
				err = b.Remove(t.Context(), f)
			default:
				if call == byName { // GET asks for the reason
					inject(t, s, fault)
				}
				_, err = b.Stat(t.Context(), "swept")
			}
			require.Error(t, err, "%s %s", call, describe(fault))
			if e, ok := errors.AsType[*b2backend.Error](err); ok {
				require.Equal(t, fault.Status, e.Status)
			} else {
				require.ErrorIs(t, err, sluice.ErrReplaced, "%s %s", call, describe(fault))
			}
		}
	}
}
