package retry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Outcome is what is known about a request that changes the store.
type Outcome int

const (
	// Unknown means that the store may have done what was asked, or may still
	// do it. It is the zero value: everything without positive evidence is
	// Unknown, such as a connection that broke, a status of 500 and above, or an
	// answer of a gateway.
	Unknown Outcome = iota
	// NotDone means that the store did not do it and will not: the request never
	// left, or the store answered with a documented refusal.
	NotDone
	// Done means that the store did it: it answered with the values that were
	// expected, or shows something that only this request can have made.
	Done
	// Conflict is for Classify alone. It means that the store refused the request
	// because of a state that the request itself leads to, such as "no such upload"
	// for a finish, or because another one is at work. A proxy that loses an answer
	// may send the request again, and pass on the answer to the second one while the
	// first is still at work. Lookup decides which it is.
	Conflict
)

func (o Outcome) String() string { return [...]string{"unknown", "not done", "done", "conflict"}[o] }

// Commit is a request that must not be repeated blindly: the start of a large
// file, a single upload, a finish. Run it with [Policy.Commit].
//
// After an attempt whose outcome is unknown only evidence that the request was
// done ends the doubt. A later refusal proves nothing: it may be the
// consequence of the lost request, or overtake it. That nothing is found yet
// proves nothing either, because the store may still be at work on it.
type Commit struct {
	// Call has the fields that [Policy.Do] takes. What Classify finds is believed
	// of a request that was sent; one that was not is NotDone.
	Call

	// Send makes the request once, within ctx. It calls [Attempt.Sent] as soon as
	// the store may have the whole request. Until then the attempt ends with the
	// caller's context, and counts as NotDone; from then on it outlives the
	// caller's context by Grace, because its answer is worth waiting for.
	Send func(ctx context.Context, a *Attempt) error

	// Lookup asks the store what became of earlier attempts. It is called after an
	// attempt of unknown outcome: before the next attempt, and several times on a
	// context of its own once there is no further attempt. refusal is the Conflict
	// that it follows, nil if it follows none. Done needs evidence that this request
	// was done. NotDone permits another attempt; after a Conflict it needs evidence
	// that no copy of the request was done or is still at work, and is believed.
	// Otherwise it returns Unknown and may say why. Nil means that there is no way
	// to look; a Conflict counts as NotDone then.
	Lookup func(ctx context.Context, refusal error) (Outcome, error)

	// Repeat permits another attempt while the outcome of an earlier one is
	// unknown, because the store ends up with the same in either case. Without it
	// there is another attempt only if Lookup returns NotDone.
	Repeat bool

	// Grace is how long an attempt that is sent may outlive the caller's context.
	Grace time.Duration

	// Doubt is what the error matches if the outcome stays unknown, such as
	// [sluice.ErrFinishUnknown]. It may be nil.
	Doubt error
}

// Result is what is known after a [Policy.Commit].
type Result struct {
	Outcome Outcome // not Conflict
	// Lost is the failure of the last attempt whose outcome was unknown, nil if
	// there was none. Another attempt may have been done since.
	Lost error
}

// Commit runs c until it is done, a verdict is Stop, the policy is used up or ctx
// ends. The error is nil if and only if the outcome is Done; otherwise it is that
// of [Policy.Do], with Doubt in front if the outcome is Unknown. If ctx is
// done at the start, nothing is sent.
//
// Timeout and stall limit of the policy hold for each Send. Lookup has limits
// of its own.
func (p Policy) Commit(ctx context.Context, c Commit) (Result, error) {
	longer, release := outlive(ctx, c.Grace)
	defer release()
	r := commitRun{Commit: c, policy: p, longer: longer}
	s := series{Policy: p, Call: c.Call, began: time.Now()}
	err := s.prepare(ctx)
	for err == nil {
		v, failed := r.try(ctx)
		if failed == nil {
			return Result{Done, r.lost}, nil
		}
		if err = s.backOff(ctx, v, failed); err == nil {
			err = s.prepare(ctx)
		}
	}
	if r.lost == nil && r.conflict == nil {
		return Result{NotDone, nil}, err
	}
	switch seen := r.settle(ctx); {
	case seen == Done:
		return Result{Done, r.lost}, nil
	case seen == NotDone && r.lost == nil:
		return Result{NotDone, nil}, err
	default:
		return Result{Unknown, r.lost}, r.doubt(err)
	}
}

type commitRun struct {
	Commit
	policy   Policy
	longer   context.Context // ends Grace after the caller's
	lost     error           // of the last attempt that may have been done, or may still be
	conflict error           // of the last attempt that a copy of it may have been the cause of
	last     error           // the last attempt's
	verdict  Verdict         // of last
	lookErr  error           // the last look-up's
}

// try looks for what earlier attempts may have done, and sends if that is
// allowed. It returns nil if the request was done. It stops if another attempt is
// neither allowed nor ever will be.
func (r *commitRun) try(ctx context.Context) (Verdict, error) {
	if r.lost != nil {
		switch seen := r.look(ctx); {
		case seen == Done:
			return Verdict{}, nil
		case seen == Unknown && !r.Repeat:
			return r.verdict, r.last
		}
	}
	r.verdict, r.last = r.attempt(ctx)
	switch {
	case r.last == nil:
	case r.verdict.Outcome == Unknown:
		r.lost = r.last
	case r.verdict.Outcome == Conflict && r.Lookup != nil:
		r.conflict = r.last
	}
	if r.lost != nil && r.Lookup == nil && !r.Repeat {
		r.verdict.Action = Stop
	}
	return r.verdict, r.last
}

// look asks the store what became of earlier attempts.
func (r *commitRun) look(ctx context.Context) (seen Outcome) {
	if r.Lookup == nil {
		return Unknown
	}
	seen, r.lookErr = r.Lookup(ctx, r.conflict)
	return seen
}

// settle returns what the store shows of the request within a while that does
// not depend on ctx. A look-up may lag, so that only Done ends the wait.
func (r *commitRun) settle(ctx context.Context) (seen Outcome) {
	if r.Lookup == nil {
		return Unknown
	}
	ctx, cancel := Detached(ctx, SettleTime)
	defer cancel()
	r.policy.Poll(ctx, func(ctx context.Context) bool {
		seen = r.look(ctx)
		return seen == Done
	})
	return seen
}

// doubt is the error of a call that ended with err and an unknown outcome.
func (r *commitRun) doubt(err error) error {
	if r.lookErr != nil {
		err = fmt.Errorf("%w (look-up: %v)", err, r.lookErr)
	}
	if r.Doubt != nil {
		err = fmt.Errorf("%w: %w", r.Doubt, err)
	}
	return err
}

// attempt sends once, under the limits of the policy. It ends with ctx until the
// whole request is sent, and with r.longer from then on.
func (r *commitRun) attempt(ctx context.Context) (v Verdict, err error) {
	sent := false
	err = r.policy.Once(r.longer, func(attempt context.Context, a *Attempt) error {
		attempt, cancel := context.WithCancelCause(attempt)
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() {
			if !a.WasSent() {
				cancel(context.Cause(ctx))
			}
		})()
		err := r.Send(attempt, a)
		// The answer can overtake the report that the last bytes are out.
		sent = a.WasSent() || ctx.Err() == nil && a.MayBeSent()
		return err
	})
	if err == nil {
		return Verdict{}, nil
	}
	v = r.Classify(err)
	if !sent {
		v.Outcome = NotDone
	}
	return v, err
}

// errNoAnswer ends an attempt that outlived its context by its grace.
var errNoAnswer = errors.New("no answer came after the context had ended")

// outlive returns a context that ends grace after ctx has ended. release must
// be called to free it, and returns when nothing of it is running any more.
func outlive(ctx context.Context, grace time.Duration) (longer context.Context, release func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(errNoAnswer)
		case <-longer.Done():
		}
	})
	return longer, func() {
		cancel(nil)
		if !stop() {
			<-ended
		}
	}
}
