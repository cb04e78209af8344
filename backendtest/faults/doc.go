// Package faults makes a backend fail on purpose, and writes down what was asked of it. It does not
// import testing, so programs may use it too.
//
// [New] wraps any [sluice.Backend]. Every call that does I/O is an [Op] and is
// shown to the injectors in turn. An [Injector] is one thing that goes wrong
// ([Fail], [Lose], [Delay], [Block], [Retry], [Do]) and the conditions under
// which it does, which all have to hold, and are asked from left to right:
//
//	faults.Fail(nil, faults.Nth(3))                                    // the third call of all
//	faults.Fail(nil, faults.OnKind(faults.UploadPart), faults.Nth(3))  // the third UploadPart
//	faults.Fail(nil, faults.From(3))                                   // the third call and all after it
//	faults.Lose(nil, faults.OnKind(faults.Finish))                     // every Finish, after it worked
//	faults.Delay(time.Second, faults.OnPart(2))
//
// The strongest test made of it is a sweep: fail the first call, then the
// second, until a run in which nothing is left to fail, and see each time that
// the error surfaced and nothing stayed behind.
//
//	for n := 1; ; n++ {
//		fault := faults.Fail(nil, faults.Nth(n))
//		b := faults.New(memorybackend.New(nil), fault)
//		err := run(b)
//		if fault.Fired() == 0 {
//			break // err is that of a run without faults
//		}
//		// err matches faults.ErrInjected; b.Calls() tells what was called.
//	}
package faults
