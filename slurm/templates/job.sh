#!/bin/bash
#SBATCH --job-name={{ job.name }}
#SBATCH --time={{ job.time }}
#SBATCH --nodes={{ job.nodes }}
#SBATCH --ntasks={{ job.tasks }}
#SBATCH --cpus-per-task={{ job.cpus_per_task }}
{% if job.gpus_per_task %}
#SBATCH --gpus-per-task={{ job.gpus_per_task }}
{% endif %}
{% if job.memory %}
#SBATCH --mem={{ job.memory }}
{% endif %}
{% if job.partition %}
#SBATCH --partition={{ job.partition }}
{% endif %}
{% if job.account %}
#SBATCH --account={{ job.account }}
{% endif %}
{% if job.array %}
#SBATCH --array={{ job.array }}
{% endif %}
#SBATCH --output={{ folder }}/{{ job.name }}{{ "-%a" if job.array }}.log
#SBATCH --open-mode=append
#SBATCH --requeue
# To this script alone, so long before the end; Slurm may send it up to a minute early.
#SBATCH --signal=B:USR1@{{ job.warning }}
{% for line in job.options %}
#SBATCH {{ line }}
{% endfor %}

mark={{ folder }}/{{ job.name }}${SLURM_ARRAY_TASK_ID:+-$SLURM_ARRAY_TASK_ID}.done
[ -e "$mark" ] && exit 0
cd {{ directory }} || exit 1
{% for module in job.modules %}
module load {{ module }} || exit 1
{% endfor %}
{% if job.activate %}
{{ job.activate }} || exit 1
{% endif %}

# Time is nearly over: let the command write what it has, then queue again. What does not end in
# time is killed by the requeue; the run goes on from its journal or checkpoint all the same.
again=
stop() {
    again=yes
    kill -USR1 "$command" 2>/dev/null
    (sleep {{ job.grace }}; kill -KILL "$command" 2>/dev/null) &
}
trap stop USR1

{{ job.launch }} &
command=$!
while wait "$command"; code=$?; kill -0 "$command" 2>/dev/null; do :; done

if [ -n "$again" ] && [ "$code" -ne 0 ]; then
    trap '' TERM
    scontrol requeue "$SLURM_JOB_ID"
    sleep 60 # until the requeue ends this script
fi
[ "$code" -eq 0 ] && touch "$mark"
exit "$code"
