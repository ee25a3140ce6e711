// Exact sum of K integers of W bits in a tree; S >= W + log2 K.
module signed_sum #(
    parameter K = 4,
    parameter W = 16,
    parameter S = 18
) (
    input [K*W-1:0] terms,
    output [S-1:0] sum
);
    // nodes as in a heap: the children of node i are 2i and 2i + 1, the leaves begin at K
    reg [2*K*S-1:0] nodes;
    integer i;
    always @* begin
        nodes = 0;
        for (i = 0; i < K; i = i + 1)
            nodes[(K+i)*S+:S] = {{(S-W+1){terms[i*W+W-1]}}, terms[i*W+:W]};
        for (i = K - 1; i > 0; i = i - 1)
            nodes[i*S+:S] = nodes[2*i*S+:S] + nodes[(2*i+1)*S+:S];
    end
    assign sum = nodes[S+:S];  // K = 1: the leaf itself
endmodule
