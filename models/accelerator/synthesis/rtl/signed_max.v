// Largest of K signed integers, in a tree.
module signed_max #(
    parameter K = 4,
    parameter W = 8
) (
    input [K*W-1:0] terms,
    output [W-1:0] largest
);
    // nodes as in a heap: the children of node i are 2i and 2i + 1, the leaves begin at K
    reg [2*K*W-1:0] nodes;
    integer i;
    always @* begin
        nodes = 0;
        nodes[K*W+:K*W] = terms;
        for (i = K - 1; i > 0; i = i - 1)
            nodes[i*W+:W] = $signed(nodes[2*i*W+:W]) > $signed(nodes[(2*i+1)*W+:W])
                ? nodes[2*i*W+:W] : nodes[(2*i+1)*W+:W];
    end
    assign largest = nodes[W+:W];
endmodule
