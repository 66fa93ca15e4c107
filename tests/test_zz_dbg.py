import faulthandler, sys, time
from tests.test_worker import *
def test_dbg(tmp_path, sqlite_url, today):
    with deployed(tmp_path, sqlite_url, "", today) as site:
        site.connect(ACCOUNT)
        from ensora_plugin import jobs
        from ensora_plugin.schedule import make_due_runs
        from ensora_plugin.clock import utcnow
        import dataclasses
        st=site.state
        st.settings=dataclasses.replace(st.settings, lease_seconds=0.05)
        (rid,)=make_due_runs(st.session, utcnow())
        faulthandler.dump_traceback_later(4, file=open("/tmp/stack.txt","w"))
        t=time.time()
        jobs.work_run(rid)
        print("took", time.time()-t)
        faulthandler.cancel_dump_traceback_later()
        assert time.time()-t<5
